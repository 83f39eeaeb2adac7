namespace Fleet.Contracts.Events;

/// <summary>A model is in memory and serves. Published by inference (at most once per load; not transactional, inference has no database).</summary>
public sealed record ModelLoaded : IntegrationEvent
{
    public required string Model { get; init; }
    public required TimeSpan Duration { get; init; }
    public required long MemoryBytes { get; init; }
}

/// <summary>A model's memory was freed. Published by inference.</summary>
public sealed record ModelUnloaded : IntegrationEvent
{
    public required string Model { get; init; }
}

/// <summary>A model could not be loaded or died. Published by inference.</summary>
public sealed record ModelFailed : IntegrationEvent
{
    public required string Model { get; init; }

    /// <summary>A sentence for an administrator.</summary>
    public required string Reason { get; init; }
}

/// <summary>An alert rule fired. Published by notification.</summary>
public sealed record AlertRaised : IntegrationEvent
{
    public required string Rule { get; init; }
    public required string Summary { get; init; }
}
