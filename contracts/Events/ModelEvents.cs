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

/// <summary>An administrator had a model downloaded. Published by inference (at most once, as all events of models).</summary>
public sealed record ModelDownloadStarted : IntegrationEvent
{
    public required string Download { get; init; }

    /// <summary>The server's name; the whole address may hold a secret.</summary>
    public required string Source { get; init; }

    public required string File { get; init; }
}

/// <summary>A download goes on; every half minute at most. Published by inference.</summary>
public sealed record ModelDownloadProgressed : IntegrationEvent
{
    public required string Download { get; init; }
    public required string File { get; init; }
    public required long BytesDone { get; init; }

    /// <summary>Null when the server does not say.</summary>
    public required long? BytesTotal { get; init; }
}

/// <summary>A downloaded model is installed. Published by inference.</summary>
public sealed record ModelDownloadCompleted : IntegrationEvent
{
    public required string Download { get; init; }
    public required string File { get; init; }
    public required long Bytes { get; init; }
}

/// <summary>A download was given up; what has arrived may be kept for the next attempt. Published by inference.</summary>
public sealed record ModelDownloadFailed : IntegrationEvent
{
    public required string Download { get; init; }
    public required string File { get; init; }

    /// <summary>A sentence for an administrator.</summary>
    public required string Reason { get; init; }
}

/// <summary>An alert rule fired. Published by notification.</summary>
public sealed record AlertRaised : IntegrationEvent
{
    public required string Rule { get; init; }
    public required string Summary { get; init; }
}
