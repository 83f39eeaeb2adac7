namespace Fleet.Inference.Scheduling;

/// <summary>What one decode computes: for each sequence a run of its tokens, and whether the run reaches its end and wants logits.</summary>
internal sealed class BatchPlan
{
    private readonly List<BatchShare> _shares = [];

    public IReadOnlyList<BatchShare> Shares => _shares;

    public int TokenCount { get; private set; }

    public void Add(Sequence sequence, int count)
    {
        var outputAt = sequence.ComputedTokens + count == sequence.Tokens.Count ? TokenCount + count - 1 : -1;
        _shares.Add(new BatchShare(sequence, count, outputAt));
        TokenCount += count;
    }
}

/// <param name="Count">Tokens of the sequence from its computed ones on.</param>
/// <param name="OutputIndex">Index in the batch of the entry whose logits give the next token; -1 in the middle of a prompt.</param>
internal readonly record struct BatchShare(Sequence Sequence, int Count, int OutputIndex);
