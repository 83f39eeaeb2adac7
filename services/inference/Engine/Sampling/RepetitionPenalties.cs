namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// Counts tokens in a sliding window over prompt and reply, and lowers the scores of those it holds: repetition as in Keskar et al. 2019
/// (arXiv:1909.05858, with negative scores multiplied), frequency and presence as OpenAI's. The window's extent is llama.cpp's.
/// </summary>
internal sealed class RepetitionPenalties
{
    private readonly SamplingParameters _parameters;
    private readonly Dictionary<int, int> _counts = [];
    private readonly Queue<int>? _window;

    private RepetitionPenalties(SamplingParameters parameters)
    {
        _parameters = parameters;
        _window = parameters.PenaltyLastN > 0 ? new Queue<int>() : null;
    }

    /// <summary>The penalised tokens.</summary>
    public IReadOnlyCollection<int> Tokens => _counts.Keys;

    /// <summary>Null when the parameters ask for nothing.</summary>
    public static RepetitionPenalties? Create(SamplingParameters parameters, ReadOnlySpan<int> prompt)
    {
        if (parameters.PenaltyLastN == 0 || parameters is { RepetitionPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 })
            return null;

        var penalties = new RepetitionPenalties(parameters);
        var seen = parameters.PenaltyLastN > 0 && parameters.PenaltyLastN < prompt.Length ? prompt[^parameters.PenaltyLastN..] : prompt;
        foreach (var token in seen)
            penalties.Accept(token);
        return penalties;
    }

    public void Accept(int token)
    {
        _counts[token] = _counts.GetValueOrDefault(token) + 1;
        if (_window is null)
            return;

        _window.Enqueue(token);
        if (_window.Count <= _parameters.PenaltyLastN)
            return;

        var oldest = _window.Dequeue();
        if (--_counts[oldest] == 0)
            _counts.Remove(oldest);
    }

    public float Adjust(int token, float score)
    {
        if (!_counts.TryGetValue(token, out var count))
            return score;

        // Dividing a negative score would reward what is to be punished.
        score = score > 0 ? score / _parameters.RepetitionPenalty : score * _parameters.RepetitionPenalty;
        return score - (_parameters.FrequencyPenalty * count + _parameters.PresencePenalty);
    }
}
