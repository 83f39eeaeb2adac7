using System.Runtime.InteropServices;
using Fleet.Inference.Engine;

namespace Fleet.Inference.Scheduling;

/// <summary>
/// One reply in the making as the scheduler sees it: tokens known (prompt, then generated) and how many of them the cache holds.
/// Decode thread only; counts and status may be read, and <see cref="Cancel"/> called, from anywhere.
/// </summary>
internal sealed class Sequence(IReadOnlyList<int> prompt)
{
    private static readonly int[] NoDraft = [];
    private readonly List<int> _tokens = [.. prompt];
    private volatile bool _cancelled;

    public int PromptTokens { get; } = prompt.Count;

    public int GeneratedTokens => _tokens.Count - PromptTokens;

    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Whose work this is: the border no cell crosses, and the first level of fairness.</summary>
    public string TenantId { get; init; } = "";

    /// <summary>The second level of fairness; empty = unknown, without a bound of its own in the queue.</summary>
    public string UserId { get; init; } = "";

    public Lane Lane { get; init; }

    /// <summary>Names the set of LoRA adapters with their scales; sequences of different sets share neither cells nor a decode. Empty = none.</summary>
    public string AdapterKey { get; init; } = "";

    /// <summary>Upper bound of generated tokens as far as known, for estimates only; 0 = unknown.</summary>
    public int MaxTokens { get; init; }

    /// <summary>Neither uses cached prefixes nor leaves one.</summary>
    public bool BypassCache { get; init; }

    public DateTimeOffset Arrived { get; init; }

    /// <summary>After this the sequence is dropped; null = never.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>What the engine keeps beside the sequence; the scheduler never looks at it.</summary>
    public object? Owner { get; init; }

    /// <summary>
    /// Guesses for the tokens after the last one, computed with the next step when there is room. Set before a plan, looked at only while
    /// decoding, empty again after every step.
    /// </summary>
    public IReadOnlyList<int> Draft { get; set; } = NoDraft;

    /// <summary>Tokens the cache holds; always less than <see cref="Tokens"/> while running, for the newest has still to be computed.</summary>
    public int ComputedTokens { get; private set; }

    /// <summary>Prompt tokens that were in the cache when it was first admitted.</summary>
    public int CachedTokens { get; private set; }

    public SequenceStatus Status { get; private set; } = SequenceStatus.Waiting;

    /// <summary>Which of the cache's sequences is this one's; -1 without.</summary>
    public int SequenceId { get; private set; } = -1;

    /// <summary>How often it lost its cells to others.</summary>
    public int Preemptions { get; private set; }

    public bool Cancelled => _cancelled;

    /// <summary>The next <see cref="Scheduler.DropDead"/> drops it. Thread-safe.</summary>
    public void Cancel() => _cancelled = true;

    /// <summary>A token was drawn, or is forced on it; the next steps compute it. Only with a native sequence.</summary>
    public void Append(int token)
    {
        if (SequenceId < 0)
            throw new InvalidOperationException($"A {Status} sequence does not grow.");
        _tokens.Add(token);
    }

    internal ReadOnlySpan<int> TokenSpan => CollectionsMarshal.AsSpan(_tokens);

    /// <summary>Draft tokens the last step computed and <see cref="Scheduler.Accept"/> has not judged yet.</summary>
    internal int PendingDraft { get; set; }

    /// <summary>Held: who computes the common prefix.</summary>
    internal Sequence? Donor { get; private set; }

    /// <summary>Held: the positions to wait for.</summary>
    internal int Promised { get; private set; }

    /// <summary>A donor is as urgent as those that wait for it.</summary>
    internal Lane Urgency { get; set; } = Lane.Batch;

    internal Lane EffectiveLane => Lane == Lane.Interactive || Urgency == Lane.Interactive ? Lane.Interactive : Lane.Batch;

    /// <summary>Tokens its user has been charged for.</summary>
    internal int ChargedTokens { get; set; }

    /// <summary>Order of admission; decides who may wait for whom.</summary>
    internal long Admission { get; set; }

    /// <summary>Order of arrival in the queue.</summary>
    internal long Arrival { get; set; }

    internal DateTimeOffset AdmittedAt { get; set; }

    internal bool WasAdmitted { get; set; }

    internal FairFlow? Flow { get; set; }

    internal void Hold(Sequence donor, int promised)
    {
        (Donor, Promised) = (donor, promised);
        Status = SequenceStatus.Held;
    }

    internal void Start(int sequenceId, int shared)
    {
        (Donor, SequenceId, ComputedTokens) = (null, sequenceId, shared);
        if (!WasAdmitted)
            CachedTokens = Math.Min(shared, PromptTokens);
        WasAdmitted = true;
        Status = SequenceStatus.Prefill;
    }

    internal void Computed(int tokens)
    {
        ComputedTokens += tokens;
        if (ComputedTokens >= _tokens.Count)
            Status = SequenceStatus.Decode;
    }

    internal void Preempt()
    {
        (SequenceId, ComputedTokens, Donor, Draft) = (-1, 0, null, NoDraft);
        Preemptions++;
        Status = SequenceStatus.Preempted;
    }

    internal void Finish()
    {
        (SequenceId, Donor, Draft, PendingDraft) = (-1, null, NoDraft, 0);
        Status = SequenceStatus.Finished;
    }

    internal void ClearDraft() => (Draft, PendingDraft) = (NoDraft, 0);
}
