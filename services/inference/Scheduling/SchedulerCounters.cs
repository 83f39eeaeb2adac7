namespace Fleet.Inference.Scheduling;

/// <summary>What a scheduler has done since the load. Written by the decode thread, readable from anywhere.</summary>
internal sealed class SchedulerCounters
{
    public long Steps { get; internal set; }

    public long Preemptions { get; internal set; }

    public long Admitted { get; internal set; }

    public long Finished { get; internal set; }

    /// <summary>Cancelled, too late or without room.</summary>
    public long Dropped { get; internal set; }

    /// <summary>Of admitted sequences.</summary>
    public long PromptTokens { get; internal set; }

    /// <summary>Of <see cref="PromptTokens"/>: served from the prefix cache.</summary>
    public long CachedTokens { get; internal set; }

    /// <summary>Computed in prefill, recomputation after preemption included.</summary>
    public long PrefillTokens { get; internal set; }

    /// <summary>Computed in decode, accepted drafts included, rejected ones not.</summary>
    public long DecodeTokens { get; internal set; }

    public long DraftedTokens { get; internal set; }

    public long AcceptedTokens { get; internal set; }

    /// <summary>Sequences that waited for another one to compute their common prefix.</summary>
    public long Held { get; internal set; }

    /// <summary>Tokens of recent steps over what a batch can hold, 0 to 1.</summary>
    public double BatchOccupancy { get; internal set; }
}
