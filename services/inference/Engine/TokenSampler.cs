namespace Fleet.Inference.Engine;

/// <summary>
/// Draws tokens for one reply: bias, penalties, top-k, top-p, min-p, temperature, then a weighted draw. Written here rather than taken from
/// llama.cpp because its chains abort the process on misuse; seeded draws repeat on every machine. Decode thread only.
/// </summary>
internal sealed class TokenSampler
{
    // Tokens this far below the best have no weight worth sorting for (e^-25), at any temperature in use.
    private const float Hopeless = 25f;
    private const int PenaltyWindow = 64;

    private readonly SamplingParameters _parameters;
    private readonly Dictionary<int, int> _counts = [];
    private readonly Queue<int> _recent = new();
    private readonly float[] _scores;
    private Candidate[] _candidates = new Candidate[1024];
    private ulong _state;

    public TokenSampler(SamplingParameters parameters, int vocabulary, uint randomSeed)
    {
        _parameters = parameters;
        _scores = new float[vocabulary];
        _state = parameters.Seed ?? randomSeed;
    }

    public int Sample(ReadOnlySpan<float> logits)
    {
        logits.CopyTo(_scores);
        ApplyBias();
        ApplyPenalties();

        var token = _parameters.Temperature <= 0 ? Best(_scores) : Draw();
        Remember(token);
        return token;
    }

    /// <summary>The natural logarithm of each token's probability before any sampling parameter: the chosen one and the likeliest.</summary>
    public static (float Chosen, IReadOnlyList<(int Token, float Logprob)> Top) Logprobs(ReadOnlySpan<float> logits, int chosen, int top)
    {
        var highest = logits[Best(logits)];
        var sum = 0d;
        foreach (var logit in logits)
            sum += Math.Exp(logit - highest);

        var normalizer = highest + (float)Math.Log(sum);
        var best = new PriorityQueue<int, float>();
        for (var i = 0; top > 0 && i < logits.Length; i++)
        {
            if (best.Count < top)
                best.Enqueue(i, logits[i]);
            else if (best.TryPeek(out _, out var lowest) && logits[i] > lowest)
                best.EnqueueDequeue(i, logits[i]);
        }

        var likeliest = new (int, float)[best.Count];
        for (var i = likeliest.Length - 1; i >= 0; i--)
        {
            best.TryDequeue(out var token, out var logit);
            likeliest[i] = (token, logit - normalizer);
        }

        return (logits[chosen] - normalizer, likeliest);
    }

    private void ApplyBias()
    {
        foreach (var (token, bias) in _parameters.LogitBias)
        {
            if ((uint)token < (uint)_scores.Length)
                _scores[token] += bias;
        }
    }

    private void ApplyPenalties()
    {
        foreach (var (token, count) in _counts)
        {
            // Dividing a negative score would reward what is to be punished.
            ref var score = ref _scores[token];
            score = score > 0 ? score / _parameters.RepetitionPenalty : score * _parameters.RepetitionPenalty;
            score -= _parameters.FrequencyPenalty * count + _parameters.PresencePenalty;
        }
    }

    private void Remember(int token)
    {
        if (_parameters is { RepetitionPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 })
            return;

        _recent.Enqueue(token);
        _counts[token] = _counts.GetValueOrDefault(token) + 1;
        if (_recent.Count <= PenaltyWindow)
            return;

        var oldest = _recent.Dequeue();
        if (--_counts[oldest] == 0)
            _counts.Remove(oldest);
    }

    private int Draw()
    {
        var candidates = TopCandidates();
        candidates = CutByProbability(candidates);

        var highest = candidates[0].Score;
        var total = 0d;
        foreach (ref var candidate in candidates)
        {
            candidate.Weight = Math.Exp((candidate.Score - highest) / _parameters.Temperature);
            total += candidate.Weight;
        }

        var point = NextUnit() * total;
        foreach (var candidate in candidates)
        {
            point -= candidate.Weight;
            if (point < 0)
                return candidate.Token;
        }

        return candidates[^1].Token;
    }

    // Likeliest first; equal scores by token id, so that the draw does not depend on the sort.
    private Span<Candidate> TopCandidates()
    {
        var floor = _scores[Best(_scores)] - Hopeless;
        var count = 0;
        for (var token = 0; token < _scores.Length; token++)
        {
            if (!(_scores[token] >= floor))
                continue;
            if (count == _candidates.Length)
                Array.Resize(ref _candidates, count * 2);
            _candidates[count++] = new Candidate(token, _scores[token]);
        }

        var candidates = _candidates.AsSpan(0, count);
        candidates.Sort(static (left, right) => left.Score != right.Score ? right.Score.CompareTo(left.Score) : left.Token.CompareTo(right.Token));
        return _parameters.TopK > 0 && _parameters.TopK < count ? candidates[.._parameters.TopK] : candidates;
    }

    private Span<Candidate> CutByProbability(Span<Candidate> candidates)
    {
        var highest = candidates[0].Score;
        var total = 0d;
        foreach (ref var candidate in candidates)
        {
            candidate.Weight = Math.Exp(candidate.Score - highest);
            total += candidate.Weight;
        }

        var kept = candidates.Length;
        if (_parameters.TopP is > 0 and < 1)
        {
            var mass = 0d;
            for (kept = 0; kept < candidates.Length && mass < _parameters.TopP * total;)
                mass += candidates[kept++].Weight;
        }

        if (_parameters.MinP > 0)
        {
            // The best candidate's weight is 1.
            while (kept > 1 && candidates[kept - 1].Weight < _parameters.MinP)
                kept--;
        }

        return candidates[..Math.Max(1, kept)];
    }

    private static int Best(ReadOnlySpan<float> scores)
    {
        var best = 0;
        for (var i = 1; i < scores.Length; i++)
        {
            if (scores[i] > scores[best])
                best = i;
        }

        return best;
    }

    // SplitMix64: tiny, and the same everywhere, which System.Random does not promise.
    private double NextUnit()
    {
        _state += 0x9E3779B97F4A7C15UL;
        var mixed = (_state ^ (_state >> 30)) * 0xBF58476D1CE4E5B9UL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1UL << 53));
    }

    private struct Candidate(int token, float score)
    {
        public readonly int Token = token;
        public readonly float Score = score;
        public double Weight;
    }
}
