using Fleet.Knowledge.Clients;
using Fleet.Knowledge.Collections;
using Fleet.Knowledge.Telemetry;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Retrieval;

/// <summary>Best passages for a question: by meaning, by words, or by both.</summary>
internal sealed partial class SearchService(
    RetrievalStore store, CollectionStore collections, InferenceClient inference, KnowledgeMetrics metrics, TimeProvider time,
    IOptions<RetrievalOptions> options, ILogger<SearchService> logger)
{
    public const string VectorScore = "vector";
    public const string LexicalScore = "lexical";

    private const int MaxQueryTerms = 64;

    /// <returns>Null when one of the collections is not the user's.</returns>
    /// <exception cref="EmbeddingsUnavailableException">Similarity was asked for and inference does not answer.</exception>
    public async Task<SearchResult?> SearchAsync(SearchQuery query, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        if (query.Collections.Length > 0 && await collections.CountAsync(query.UserId, query.Collections, cancellationToken) != query.Collections.Length)
            return null;

        var limit = Math.Max(options.Value.Candidates, query.TopK * 2);
        var lexicalTask = query.Method == SearchMethod.Similarity
            ? Task.FromResult<IReadOnlyList<Candidate>>([])
            : store.FindLexicalAsync(query, LexicalAnalyzer.Query(query.Text, MaxQueryTerms), limit, cancellationToken);
        var similarTask = query.Method == SearchMethod.Lexical
            ? Task.FromResult<IReadOnlyList<Candidate>?>([])
            : FindSimilarAsync(query, limit, cancellationToken);
        await Task.WhenAll((Task)lexicalTask, similarTask);

        var (lexical, similar) = (await lexicalTask, await similarTask);
        var passages = await RankAsync(query, lexical, similar ?? [], cancellationToken);
        var result = new SearchResult(passages, IsDegraded: similar is null, time.GetElapsedTime(started));
        metrics.Searched(query.Method.ToString().ToLowerInvariant(), result.IsDegraded, result.Took);
        return result;
    }

    public async Task<FoundPassage?> FindPassageAsync(Guid userId, Guid chunkId, CancellationToken cancellationToken) =>
        (await store.ReadPassagesAsync(userId, [chunkId], cancellationToken)).SingleOrDefault();

    /// <returns>Null when hybrid search must do without.</returns>
    private async Task<IReadOnlyList<Candidate>?> FindSimilarAsync(SearchQuery query, int limit, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await inference.EmbedAsync(query.UserId, [query.Text], options.Value.EmbeddingTimeout, isBatchWork: false, cancellationToken);
            return await store.FindSimilarAsync(query, answer.Space, answer.Vectors[0], limit, cancellationToken);
        }
        catch (EmbeddingsUnavailableException exception) when (query.Method == SearchMethod.Hybrid)
        {
            Log.WithoutVectors(logger, exception);
            return null;
        }
    }

    private async Task<IReadOnlyList<FoundPassage>> RankAsync(
        SearchQuery query, IReadOnlyList<Candidate> lexical, IReadOnlyList<Candidate> similar, CancellationToken cancellationToken)
    {
        var ranked = query.Method switch
        {
            SearchMethod.Lexical => [.. lexical.Take(query.TopK)],
            SearchMethod.Similarity => [.. similar.Take(query.TopK)],
            _ => RankFusion.Fuse(query.TopK, lexical, similar),
        };
        if (ranked.Count == 0)
            return [];

        var lexicalScores = lexical.ToDictionary(candidate => candidate.ChunkId, candidate => candidate.Score);
        var vectorScores = similar.ToDictionary(candidate => candidate.ChunkId, candidate => candidate.Score);
        var passages = (await store.ReadPassagesAsync(query.UserId, [.. ranked.Select(candidate => candidate.ChunkId)], cancellationToken))
            .ToDictionary(passage => passage.ChunkId);

        var found = new List<FoundPassage>(ranked.Count);
        foreach (var (chunkId, score) in ranked)
        {
            // Deleted between the two statements: then it is not there.
            if (!passages.TryGetValue(chunkId, out var passage))
                continue;

            var scores = new Dictionary<string, double>();
            if (vectorScores.TryGetValue(chunkId, out var vector))
                scores[VectorScore] = vector;
            if (lexicalScores.TryGetValue(chunkId, out var words))
                scores[LexicalScore] = words;

            found.Add(passage with { Score = score, Scores = scores });
        }

        return found;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Searching by words only: inference gave no embedding")]
        public static partial void WithoutVectors(ILogger logger, Exception exception);
    }
}
