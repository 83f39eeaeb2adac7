namespace Fleet.Inference.Scheduling;

/// <summary>
/// Decides what each decode computes. Pure: no model, no clock, no threads. Every running reply advances by one token in every step;
/// what is left of the batch goes to prompts, oldest first, in chunks, so that a long prompt never stalls running replies.
/// </summary>
internal sealed class Scheduler
{
    private readonly int _batchTokens;
    private readonly Sequence?[] _slots;

    // Oldest first: the order in which prompts get what is left of a batch.
    private readonly List<Sequence> _running = [];

    public Scheduler(int slots, int batchTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        // With room for one prompt token beside a full house, every prompt moves in every step.
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(batchTokens, slots);
        _slots = new Sequence?[slots];
        _batchTokens = batchTokens;
    }

    public IReadOnlyList<Sequence> Running => _running;

    public bool HasFreeSlot => _running.Count < _slots.Length;

    /// <summary>Gives the sequence a free slot; there must be one.</summary>
    public void Admit(Sequence sequence)
    {
        var slot = Array.IndexOf(_slots, null);
        if (slot < 0)
            throw new InvalidOperationException("No slot is free.");

        sequence.Start(slot);
        _slots[slot] = sequence;
        _running.Add(sequence);
    }

    /// <summary>Null when nothing runs.</summary>
    public BatchPlan? Plan()
    {
        if (_running.Count == 0)
            return null;

        var plan = new BatchPlan();
        foreach (var sequence in _running)
        {
            if (sequence.Status == SequenceStatus.Decode)
                plan.Add(sequence, sequence.Tokens.Count - sequence.ComputedTokens);
        }

        foreach (var sequence in _running)
        {
            var room = _batchTokens - plan.TokenCount;
            if (room == 0)
                break;
            if (sequence.Status == SequenceStatus.Prefill)
                plan.Add(sequence, Math.Min(room, sequence.Tokens.Count - sequence.ComputedTokens));
        }

        return plan;
    }

    /// <summary>The plan was computed: the cache holds its tokens now.</summary>
    public static void Computed(BatchPlan plan)
    {
        foreach (var share in plan.Shares)
            share.Sequence.Computed(share.Count);
    }

    /// <summary>Ends a running sequence and returns the slot to be cleared. Exactly once: a second time throws.</summary>
    public int Finish(Sequence sequence)
    {
        var slot = sequence.Slot;
        if (slot < 0 || !ReferenceEquals(_slots[slot], sequence))
            throw new InvalidOperationException("The sequence holds no slot.");

        _slots[slot] = null;
        _running.Remove(sequence);
        sequence.Finish();
        return slot;
    }
}
