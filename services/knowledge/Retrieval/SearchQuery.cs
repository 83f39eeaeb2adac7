namespace Fleet.Knowledge.Retrieval;

internal enum SearchMethod
{
    Similarity,
    Lexical,
    Hybrid,
}

/// <summary>Further conditions on the documents; null means any.</summary>
internal sealed record DocumentFilter(Guid[]? DocumentIds, string[]? MediaTypes, DateTimeOffset? UploadedAfter, DateTimeOffset? UploadedBefore)
{
    public static readonly DocumentFilter None = new(null, null, null, null);
}

/// <param name="Collections">Empty for everything the user may read.</param>
internal sealed record SearchQuery(Guid UserId, string Text, int TopK, SearchMethod Method, Guid[] Collections, DocumentFilter Filter);

/// <param name="Score">Fused score; comparable within one answer only.</param>
/// <param name="Scores">Score per retriever: cosine similarity (<c>vector</c>), BM25 (<c>lexical</c>).</param>
internal sealed record FoundPassage(
    Guid ChunkId, Guid DocumentId, Guid CollectionId, string Title, int Page, int Start, int End, string Text, IReadOnlyList<string> Headings,
    double Score, IReadOnlyDictionary<string, double> Scores);

/// <param name="IsDegraded">Hybrid search had to do without vectors because inference did not answer.</param>
internal sealed record SearchResult(IReadOnlyList<FoundPassage> Passages, bool IsDegraded, TimeSpan Took);
