namespace Fleet.Contracts.Events;

/// <summary>
/// Something that has happened in one service and that others may react to. Events carry ids, counts and durations;
/// never prompts, answers or document text. Records only grow: new properties are optional, none is renamed or removed.
/// </summary>
public abstract record IntegrationEvent
{
    /// <summary>UUIDv7, the idempotency key of every consumer.</summary>
    public Guid EventId { get; init; } = Guid.CreateVersion7();

    /// <summary>When it happened (UTC), not when it was published.</summary>
    public DateTimeOffset OccurredAt { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>W3C traceparent of the request that caused it; null when nothing was traced.</summary>
    public string? TraceParent { get; init; } = System.Diagnostics.Activity.Current?.Id;
}
