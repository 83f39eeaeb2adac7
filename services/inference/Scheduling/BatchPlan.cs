namespace Fleet.Inference.Scheduling;

/// <summary>
/// What one decode computes: for each sequence a run of its tokens and drafts, and which of them want logits. All sequences of a plan have
/// the same adapters.
/// </summary>
internal sealed class BatchPlan(string adapterKey = "")
{
    private readonly List<BatchShare> _shares = [];

    /// <summary>The adapter set that has to be active for this decode.</summary>
    public string AdapterKey { get; } = adapterKey;

    public IReadOnlyList<BatchShare> Shares => _shares;

    public int TokenCount { get; private set; }

    /// <summary>Tokens of sequences that are decoding, drafts included.</summary>
    public int DecodeTokens { get; private set; }

    /// <summary>Of <see cref="DecodeTokens"/>: guesses.</summary>
    public int DraftTokens { get; private set; }

    public int PrefillTokens => TokenCount - DecodeTokens;

    /// <param name="count">Tokens of the sequence from its computed ones on.</param>
    /// <param name="drafts">Draft tokens after them; only with a run that reaches the sequence's end.</param>
    internal void Add(Sequence sequence, int count, int drafts = 0)
    {
        var outputAt = sequence.ComputedTokens + count == sequence.Tokens.Count ? TokenCount + count - 1 : -1;
        _shares.Add(new BatchShare(sequence, count + drafts, drafts, outputAt));
        TokenCount += count + drafts;
        DraftTokens += drafts;
        if (sequence.Status == SequenceStatus.Decode)
            DecodeTokens += count + drafts;
    }
}

/// <param name="Count">Entries in the batch: tokens of the sequence from its computed ones on, then drafts.</param>
/// <param name="Drafts">How many of the entries are drafts.</param>
/// <param name="OutputIndex">
/// Index in the batch of the entry whose logits give the next token; the entries after it, one per draft, want logits too. -1 in the middle
/// of a prompt.
/// </param>
internal readonly record struct BatchShare(Sequence Sequence, int Count, int Drafts, int OutputIndex)
{
    /// <summary>Rows of logits from <see cref="OutputIndex"/> on.</summary>
    public int Outputs => OutputIndex < 0 ? 0 : 1 + Drafts;

    /// <summary>The token of the share's entry <paramref name="index"/>; its position is <see cref="Sequence.ComputedTokens"/> + index before the step.</summary>
    public int Token(int index)
    {
        var own = Count - Drafts;
        return index < own ? Sequence.Tokens[Sequence.ComputedTokens + index] : Sequence.Draft[index - own];
    }

    /// <summary>Whether the share's entry <paramref name="index"/> wants logits.</summary>
    public bool Output(int index) => OutputIndex >= 0 && index >= Count - Drafts - 1;
}
