using System.Globalization;
using Fleet.Knowledge.Ingestion;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Knowledge.Retrieval;

internal readonly record struct Candidate(Guid ChunkId, double Score);

/// <summary>Both halves of retrieval. What the user may read is a condition of each statement, never a filter afterwards.</summary>
internal sealed class RetrievalStore(NpgsqlDataSource database)
{
    // BM25's usual constants: saturation of repeated terms, and how much long passages are discounted.
    private const double K1 = 1.2;
    private const double B = 0.75;

    // $1 user, $2 collections or null, $3 documents, $4 media types, $5 after, $6 before.
    private const string Permitted =
        """
        permitted AS MATERIALIZED (
            SELECT id FROM collections WHERE owner_id = $1 AND ($2::uuid[] IS NULL OR id = ANY($2)))
        """;

    private const string Filtered =
        """
        EXISTS (SELECT 1 FROM documents d WHERE d.id = c.document_id
                AND ($3::uuid[] IS NULL OR d.id = ANY($3)) AND ($4::text[] IS NULL OR d.media_type = ANY($4))
                AND ($5::timestamptz IS NULL OR d.created_at >= $5) AND ($6::timestamptz IS NULL OR d.created_at < $6))
        """;

    public async Task<IReadOnlyList<Candidate>> FindSimilarAsync(
        SearchQuery query, string space, float[] vector, int limit, CancellationToken cancellationToken)
    {
        var type = EmbeddingStore.TypeOf(vector.Length);
        var width = vector.Length.ToString(CultureInfo.InvariantCulture);
        var distance = $"c.{EmbeddingStore.IndexedExpression(vector.Length)} <=> $7::real[]::vector({width})::{type}({width})";

        // With conditions the nearest few of the index may not be enough: pgvector then goes on where it stopped.
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new("SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', $1, true)")
        {
            Parameters = { new() { Value = Math.Clamp(limit, 40, 1000).ToString(CultureInfo.InvariantCulture) } },
        });
        var search = new NpgsqlBatchCommand(
            $"""
            WITH {Permitted}
            SELECT c.id, 1 - ({distance}) FROM chunks c
            WHERE c.space = $8 AND c.collection_id IN (SELECT id FROM permitted) AND {Filtered}
            ORDER BY {distance} LIMIT $9
            """);
        AddScope(search.Parameters, query);
        search.Parameters.Add(new() { Value = vector });
        search.Parameters.Add(new() { Value = space });
        search.Parameters.Add(new() { Value = limit });
        batch.BatchCommands.Add(search);

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        return await ReadAsync(reader, cancellationToken);
    }

    public async Task<IReadOnlyList<Candidate>> FindLexicalAsync(
        SearchQuery query, string[] terms, int limit, CancellationToken cancellationToken)
    {
        if (terms.Length == 0)
            return [];

        // OR over the terms: each found one adds to the score. Statistics are sums over the permitted collections.
        await using var command = database.CreateCommand(
            $"""
            WITH {Permitted},
            statistics AS (
                SELECT greatest(sum(chunks), 1)::float8 AS chunks, greatest(sum(length)::float8 / nullif(sum(chunks), 0), 1) AS mean_length
                FROM collection_statistics WHERE collection_id IN (SELECT id FROM permitted)),
            terms AS (
                SELECT t.term, ln(1 + (greatest(s.chunks - sum(t.chunks), 0) + 0.5) / (sum(t.chunks) + 0.5)) AS weight
                FROM collection_terms t CROSS JOIN statistics s
                WHERE t.collection_id IN (SELECT id FROM permitted) AND t.term = ANY($7) GROUP BY t.term, s.chunks)
            SELECT p.chunk_id, sum(t.weight * p.frequency * ($9 + 1) / (p.frequency + $9 * (1 - $10 + $10 * p.length / s.mean_length)))::float8 AS score
            FROM terms t JOIN postings p ON p.term = t.term AND p.collection_id IN (SELECT id FROM permitted) CROSS JOIN statistics s
            WHERE EXISTS (SELECT 1 FROM chunks c WHERE c.id = p.chunk_id AND {Filtered})
            GROUP BY p.chunk_id ORDER BY score DESC, p.chunk_id LIMIT $8
            """);
        AddScope(command.Parameters, query);
        command.Parameters.Add(new() { Value = terms });
        command.Parameters.Add(new() { Value = limit });
        command.Parameters.Add(new() { Value = K1 });
        command.Parameters.Add(new() { Value = B });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadAsync(reader, cancellationToken);
    }

    /// <summary>The passages of these chunks that the user may read, in no particular order, without scores.</summary>
    public async Task<IReadOnlyList<FoundPassage>> ReadPassagesAsync(Guid userId, Guid[] chunkIds, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT c.id, c.document_id, c.collection_id, d.name, c.page, c.start_offset, c.end_offset, c.text, c.headings
            FROM chunks c JOIN documents d ON d.id = c.document_id JOIN collections k ON k.id = c.collection_id
            WHERE k.owner_id = $1 AND c.id = ANY($2)
            """);
        command.Parameters.Add(new() { Value = userId });
        command.Parameters.Add(new() { Value = chunkIds });

        var passages = new List<FoundPassage>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            passages.Add(new FoundPassage(
                reader.GetGuid(0), reader.GetGuid(1), reader.GetGuid(2), reader.GetString(3), reader.GetInt32(4), reader.GetInt32(5),
                reader.GetInt32(6), reader.GetString(7), reader.GetFieldValue<string[]>(8), Score: 0, new Dictionary<string, double>()));
        }

        return passages;
    }

    private static void AddScope(NpgsqlParameterCollection parameters, SearchQuery query)
    {
        parameters.Add(new() { Value = query.UserId });
        Add(query.Collections.Length == 0 ? null : query.Collections, NpgsqlDbType.Array | NpgsqlDbType.Uuid);
        Add(query.Filter.DocumentIds, NpgsqlDbType.Array | NpgsqlDbType.Uuid);
        Add(query.Filter.MediaTypes, NpgsqlDbType.Array | NpgsqlDbType.Text);
        Add(query.Filter.UploadedAfter?.ToUniversalTime(), NpgsqlDbType.TimestampTz);
        Add(query.Filter.UploadedBefore?.ToUniversalTime(), NpgsqlDbType.TimestampTz);

        void Add(object? value, NpgsqlDbType type) => parameters.Add(new() { Value = value ?? DBNull.Value, NpgsqlDbType = type });
    }

    private static async Task<IReadOnlyList<Candidate>> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        var candidates = new List<Candidate>();
        while (await reader.ReadAsync(cancellationToken))
            candidates.Add(new Candidate(reader.GetGuid(0), reader.GetDouble(1)));

        return candidates;
    }
}
