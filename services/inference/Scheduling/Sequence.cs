namespace Fleet.Inference.Scheduling;

/// <summary>
/// One reply in the making as the scheduler sees it: tokens known (prompt, then generated) and how many of them the cache holds.
/// Decode thread only, counts excepted.
/// </summary>
internal sealed class Sequence(IReadOnlyList<int> prompt)
{
    private readonly List<int> _tokens = [.. prompt];

    public int PromptTokens { get; } = prompt.Count;

    public int GeneratedTokens => _tokens.Count - PromptTokens;

    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Tokens the cache holds; always less than <see cref="Tokens"/> while running, for the newest has still to be computed.</summary>
    public int ComputedTokens { get; private set; }

    public SequenceStatus Status { get; private set; } = SequenceStatus.Waiting;

    /// <summary>Which of the cache's sequences is this one's; -1 without.</summary>
    public int Slot { get; private set; } = -1;

    public void Start(int slot)
    {
        if (Status != SequenceStatus.Waiting)
            throw new InvalidOperationException($"A {Status} sequence cannot start.");
        Slot = slot;
        Status = SequenceStatus.Prefill;
    }

    public void Computed(int tokens)
    {
        ComputedTokens += tokens;
        if (ComputedTokens >= PromptTokens)
            Status = SequenceStatus.Decode;
    }

    public void Append(int token) => _tokens.Add(token);

    public void Finish()
    {
        Status = SequenceStatus.Finished;
        Slot = -1;
    }
}
