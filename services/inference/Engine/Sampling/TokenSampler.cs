using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Models;

namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// Draws the tokens of one reply. <see cref="Sample"/> is a question without consequences: asked twice about the same scores it gives the same
/// token; <see cref="Accept"/> makes a token part of the reply. Written here rather than taken from llama.cpp because its chains read and write
/// the whole vocabulary several times and abort the process on misuse. Decode thread only, or any one thread at a time.
/// </summary>
/// <remarks>
/// Order, as llama.cpp's default chain (common/common.h at v0.5.0): logit bias, repetition/frequency/presence penalties, DRY, top-k, typical,
/// top-p, min-p, XTC, temperature, draw. Differences, all deliberate: temperature 0 takes the best token after bias and penalties, whatever
/// else is set; with Mirostat, which replaces top-k to XTC, bias, penalties and DRY still hold.
/// A constraint is asked last: a free draw that it allows stands, else everything is drawn again among the tokens it allows.
/// The same seed and the same scores give the same tokens, on every machine whose exponential rounds alike.
/// </remarks>
internal sealed class TokenSampler
{
    // Candidates asked about one by one before the whole vocabulary is masked.
    private const int Attempts = 64;

    // With more replaced scores than this one copy of the row is cheaper than going around them.
    private const int MostReplacements = 512;

    private readonly SamplingParameters _parameters;
    private readonly ITokenConstraint? _constraint;
    private readonly RepetitionPenalties? _penalties;
    private readonly DryPenalty? _dry;
    private readonly Mirostat? _mirostat;
    private readonly ulong _seed;
    private readonly int[] _biased;
    private readonly SortedSet<int> _touched = [];
    private int[] _tokens = [];
    private float[] _scores = [];
    private ulong _position;
    private (int Token, double Probability) _drawn = (-1, 0);

    /// <param name="parameters">Ranges as the contract states them.</param>
    /// <param name="vocabulary">For DRY's breakers, and for ids in the logit bias that do not exist.</param>
    /// <param name="prompt">Penalties and DRY look at the prompt too, as far as their windows reach.</param>
    /// <param name="constraint">Null = anything may be said. Not owned.</param>
    /// <param name="randomSeed">Used when the parameters have no seed.</param>
    public TokenSampler(SamplingParameters parameters, IVocabulary vocabulary, ReadOnlySpan<int> prompt, ITokenConstraint? constraint, ulong randomSeed)
    {
        _parameters = parameters;
        _constraint = constraint;
        _penalties = RepetitionPenalties.Create(parameters, prompt);
        _dry = DryPenalty.Create(parameters.Dry, vocabulary, prompt);
        _mirostat = parameters is { Mirostat: 1 or 2, Temperature: > 0 } ? new Mirostat(parameters) : null;
        _seed = parameters.Seed ?? randomSeed;
        _biased = [.. parameters.LogitBias.Where(bias => bias.Value != 0 && (uint)bias.Key < (uint)vocabulary.Size).Select(bias => bias.Key)];
    }

    /// <summary>Chooses the next token and commits to nothing. Throws <see cref="EngineException"/> when no token can follow.</summary>
    /// <param name="logits">The model's scores, one per token; only read, and not kept.</param>
    public int Sample(ReadOnlySpan<float> logits)
    {
        var buffers = SamplingBuffers.Current;
        var row = Adjusted(logits, buffers);
        var token = Choose(row, buffers);
        if (_constraint is null || _constraint.Allows(token))
            return token;
        if (_parameters.Temperature <= 0 && BestAllowed(row, buffers) is { } best)
            return best;

        // A lazy grammar's mask knows only what it has been asked about, so its answer may need another look.
        var masked = buffers.Scores(logits.Length);
        row.CopyTo(masked);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            _constraint.Mask(masked);
            token = Choose(new ScoreRow(masked, [], []), buffers);
            if (_constraint.Allows(token))
                return token;
        }

        throw new EngineException(EngineError.Internal, "No token was found that the grammar allows.");
    }

    /// <summary>The token is now part of the reply; it must be one the constraint allows.</summary>
    public void Accept(int token)
    {
        _constraint?.Accept(token);
        _penalties?.Accept(token);
        _dry?.Accept(token);
        if (_drawn.Token == token)
            _mirostat?.Accept(_drawn.Probability);
        _drawn = (-1, 0);
        _position++;
    }

    // The replaced scores: only tokens that a bias or a penalty touches.
    private ScoreRow Adjusted(ReadOnlySpan<float> logits, SamplingBuffers buffers)
    {
        if (_biased.Length == 0 && _penalties is null && _dry is null)
            return new ScoreRow(logits, [], []);

        _touched.Clear();
        _touched.UnionWith(_biased);
        if (_penalties is not null)
            _touched.UnionWith(_penalties.Tokens);
        if (_dry is not null)
            _touched.UnionWith(_dry.Tokens);
        if (_tokens.Length < _touched.Count)
            (_tokens, _scores) = (new int[_touched.Count * 2], new float[_touched.Count * 2]);

        var count = 0;
        foreach (var token in _touched)
        {
            if ((uint)token >= (uint)logits.Length)
                continue;

            var score = logits[token] + _parameters.LogitBias.GetValueOrDefault(token);
            score = _penalties?.Adjust(token, score) ?? score;
            (_tokens[count], _scores[count]) = (token, _dry?.Adjust(token, score) ?? score);
            count++;
        }

        var row = new ScoreRow(logits, _tokens.AsSpan(0, count), _scores.AsSpan(0, count));
        if (count <= MostReplacements)
            return row;

        var copy = buffers.Scores(logits.Length);
        row.CopyTo(copy);
        return new ScoreRow(copy, [], []);
    }

    private int Choose(ScoreRow row, SamplingBuffers buffers)
    {
        var (best, highest) = row.Best();
        if (!float.IsFinite(highest))
        {
            throw new EngineException(EngineError.Internal, _constraint is null || !float.IsNegativeInfinity(highest)
                ? "The model gave no usable scores."
                : "The grammar allows nothing that this model's vocabulary can say.");
        }

        if (_parameters.Temperature <= 0)
            return best;

        var candidates = _mirostat is not null
            ? _mirostat.Select(row, highest, buffers)
            : Truncation.Select(row, highest, _parameters, Uniform(0), buffers);
        return Draw(candidates, buffers);
    }

    private int Draw(ReadOnlySpan<ulong> candidates, SamplingBuffers buffers)
    {
        var weights = buffers.Weights(candidates.Length);
        var highest = SamplingBuffers.Score(candidates[0]);
        var total = 0d;
        for (var i = 0; i < candidates.Length; i++)
            total += weights[i] = Math.Exp((SamplingBuffers.Score(candidates[i]) - highest) / (double)_parameters.Temperature);

        var point = Uniform(1) * total;
        var chosen = 0;
        while (chosen < candidates.Length - 1 && (point -= weights[chosen]) >= 0)
            chosen++;

        _drawn = (SamplingBuffers.Token(candidates[chosen]), weights[chosen] / total);
        return _drawn.Token;
    }

    // In descending order the first allowed token is the best of all allowed ones.
    private int? BestAllowed(ScoreRow row, SamplingBuffers buffers)
    {
        foreach (var candidate in row.Top(Attempts, buffers))
        {
            if (_constraint!.Allows(SamplingBuffers.Token(candidate)))
                return SamplingBuffers.Token(candidate);
        }

        return null;
    }

    // SplitMix64's output function over a counter: tiny, the same everywhere, which System.Random does not promise, and without state to undo.
    private double Uniform(ulong stream)
    {
        var mixed = _seed * 0xD1B54A32D192ED03UL + (_position * 2 + stream + 1) * 0x9E3779B97F4A7C15UL;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9UL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
