namespace Fleet.Inference.Scheduling;

/// <summary>Limits of a scheduler; the engine fills them from its options and what the model allows.</summary>
internal sealed record SchedulerOptions
{
    /// <summary>Sequences at a time, held ones included; never more than the cache has native sequences.</summary>
    public required int MaxRunning { get; init; }

    /// <summary>Tokens one decode takes; more than <see cref="MaxRunning"/>, so that a prompt moves beside a full house.</summary>
    public required int BatchTokens { get; init; }

    /// <summary>Positions one sequence may reach; 0 = as many as the cache can give one.</summary>
    public int MaxSequenceTokens { get; init; }

    /// <summary>Requests that may wait beside the running ones.</summary>
    public int MaxQueued { get; init; } = 64;

    /// <summary>Of them, those of one user; 0 = half. Users without a name have no such bound.</summary>
    public int MaxQueuedPerUser { get; init; }

    /// <summary>How long a step may take while at least one reply is decoding: what its readers feel as a stall. Default 200 ms.</summary>
    public TimeSpan MaxStep { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Prompt tokens every step takes, whatever it costs, so that prompts always move. Default 16.</summary>
    public int MinChunk { get; init; } = 16;

    /// <summary>Whether finished sequences stay as cached prefixes and running ones are shared.</summary>
    public bool SharePrefixes { get; init; } = true;

    /// <summary>Shorter common prefixes are computed again: sharing is not free. Default 16.</summary>
    public int MinSharedTokens { get; init; } = 16;

    /// <summary>
    /// Cells that cached prefixes nobody is using may take; 0 = all that is free. In a unified cache attention looks at every cell in use,
    /// so a full cache slows running replies down.
    /// </summary>
    public int MaxCachedCells { get; init; }

    /// <summary>Work the interactive lane gets for one of the batch lane when both wait. Default 8.</summary>
    public double InteractiveWeight { get; init; } = 8;

    /// <summary>A tenant's share of the work relative to other tenants. Called under the queue's lock: quick, and never throws.</summary>
    public Func<string, double> TenantWeight { get; init; } = static _ => 1;

    /// <summary>A user's (second argument) share within the tenant (first).</summary>
    public Func<string, string, double> UserWeight { get; init; } = static (_, _) => 1;
}
