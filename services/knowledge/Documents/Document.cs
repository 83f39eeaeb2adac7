namespace Fleet.Knowledge.Documents;

/// <summary>Stages of ingestion in their order; a document is searchable from <see cref="Indexed"/> on.</summary>
public enum DocumentStatus
{
    Stored,
    Parsed,
    Split,
    Embedded,
    Indexed,
    Failed,
}

/// <param name="FailureReason">A sentence for the person who uploaded it; null unless failed.</param>
/// <param name="Characters">UTF-16 length of the extracted text.</param>
/// <param name="EmbeddedChunks">Progress of the longest stage.</param>
/// <param name="Reindexing">Ingestion will run or runs again; what was indexed before stays searchable meanwhile.</param>
public sealed record Document(
    Guid Id, Guid CollectionId, string Name, string MediaType, long SizeBytes, DocumentStatus Status, string? FailureReason,
    int Characters, int Chunks, int EmbeddedChunks, bool Reindexing, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? IndexedAt);

/// <summary>A passage of a document: <c>text[Start..End]</c> in UTF-16 code units of its extracted text.</summary>
public sealed record DocumentChunk(Guid Id, int Ordinal, int Page, int Start, int End, string Text, IReadOnlyList<string> Headings);
