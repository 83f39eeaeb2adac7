namespace Fleet.Knowledge.Collections;

/// <summary>A named set of documents with one owner.</summary>
public sealed record Collection(
    Guid Id, string Name, string Description, long Documents, long IndexedDocuments, long FailedDocuments, long SizeBytes,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);
