namespace Fleet.Contracts.Events;

/// <summary>A document was stored and waits for ingestion. Published by knowledge.</summary>
public sealed record DocumentUploaded : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid CollectionId { get; init; }
    public required Guid DocumentId { get; init; }
    public required long SizeBytes { get; init; }
    public required string MediaType { get; init; }
}

/// <summary>A document can now be found by search. Published by knowledge.</summary>
public sealed record DocumentIndexed : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid CollectionId { get; init; }
    public required Guid DocumentId { get; init; }

    /// <summary>File name, shown in the notification.</summary>
    public required string Name { get; init; }

    public required int Chunks { get; init; }
    public required TimeSpan Duration { get; init; }
}

/// <summary>A document could not be ingested; nothing of it is searchable. Published by knowledge.</summary>
public sealed record DocumentFailed : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid CollectionId { get; init; }
    public required Guid DocumentId { get; init; }
    public required string Name { get; init; }

    /// <summary>A sentence for the person who uploaded it.</summary>
    public required string Reason { get; init; }
}
