using System.Security.Cryptography;
using Fleet.Knowledge.Retrieval;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Knowledge.Ingestion;

/// <summary>A chunk with everything the indexes need.</summary>
internal sealed record IndexedChunk(Chunk Chunk, byte[] Hash, float[] Embedding);

/// <summary>
/// Writes chunks, vectors, postings and the statistics of the collection in the caller's transaction, so that search sees a document
/// wholly or not at all. Writers of one collection take turns: its statistics are shared rows.
/// </summary>
internal static class ChunkStore
{
    private const int InsertBatch = 200;

    /// <summary>First in every transaction that changes a collection's chunks, before any row lock: the order rules out deadlocks.</summary>
    public static async Task LockCollectionAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid collectionId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", connection, transaction)
        {
            Parameters = { new() { Value = collectionId } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <remarks>The caller holds the collection's lock.</remarks>
    public static async Task ReplaceAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid collectionId, Guid documentId, string space,
        IReadOnlyList<IndexedChunk> chunks, CancellationToken cancellationToken)
    {
        await RemoveAsync(connection, transaction, collectionId, documentId, cancellationToken);

        var ids = chunks.Select(chunk => IdOf(documentId, chunk.Chunk)).ToArray();
        foreach (var part in Enumerable.Range(0, chunks.Count).Chunk(InsertBatch))
        {
            await using var batch = new NpgsqlBatch(connection, transaction);
            foreach (var ordinal in part)
                batch.BatchCommands.Add(Insert(ids[ordinal], documentId, collectionId, ordinal, space, chunks[ordinal]));

            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        var length = await WritePostingsAsync(connection, collectionId, ids, chunks, cancellationToken);
        await AddStatisticsAsync(connection, transaction, collectionId, documentId, chunks.Count, length, cancellationToken);
    }

    /// <summary>Takes a document out of both indexes and the statistics.</summary>
    /// <remarks>The caller holds the collection's lock.</remarks>
    public static async Task RemoveAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid collectionId, Guid documentId, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection, transaction);
        foreach (var sql in new[]
        {
            """
            UPDATE collection_terms t SET chunks = t.chunks - gone.chunks
            FROM (SELECT p.term, count(*)::int AS chunks FROM postings p JOIN chunks c ON c.id = p.chunk_id WHERE c.document_id = $2 GROUP BY p.term) gone
            WHERE t.collection_id = $1 AND t.term = gone.term
            """,
            """
            UPDATE collection_statistics s SET chunks = s.chunks - gone.chunks, length = s.length - gone.length
            FROM (SELECT (SELECT count(*) FROM chunks WHERE document_id = $2) AS chunks,
                         (SELECT coalesce(sum(l.length), 0) FROM (SELECT DISTINCT ON (p.chunk_id) p.length FROM postings p
                          JOIN chunks c ON c.id = p.chunk_id WHERE c.document_id = $2) l) AS length) gone
            WHERE s.collection_id = $1
            """,
            """
            DELETE FROM collection_terms t WHERE t.collection_id = $1 AND t.chunks <= 0
              AND t.term IN (SELECT p.term FROM postings p JOIN chunks c ON c.id = p.chunk_id WHERE c.document_id = $2)
            """,
            "DELETE FROM chunks WHERE collection_id = $1 AND document_id = $2",
        })
        {
            batch.BatchCommands.Add(new(sql) { Parameters = { new() { Value = collectionId }, new() { Value = documentId } } });
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The same passage of the same document keeps its id when it is indexed again, and so do citations of it.</summary>
    private static Guid IdOf(Guid documentId, Chunk chunk)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(documentId.ToByteArray(bigEndian: true));
        hash.AppendData(BitConverter.GetBytes(chunk.Start));
        hash.AppendData(System.Text.Encoding.UTF8.GetBytes(chunk.Text));
        var bytes = hash.GetHashAndReset().AsSpan(0, 16);
        // Version 8 (made by its owner's own rule), variant of RFC 9562.
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }

    private static NpgsqlBatchCommand Insert(Guid id, Guid documentId, Guid collectionId, int ordinal, string space, IndexedChunk chunk) => new(
        """
        INSERT INTO chunks (id, document_id, collection_id, ordinal, page, start_offset, end_offset, text, headings, space, embedding, embedded_hash)
        VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10::real[]::vector, $11)
        """)
    {
        Parameters =
        {
            new() { Value = id },
            new() { Value = documentId },
            new() { Value = collectionId },
            new() { Value = ordinal },
            new() { Value = chunk.Chunk.Start },
            new() { Value = chunk.Chunk.End },
            new() { Value = chunk.Chunk.Text },
            new() { Value = chunk.Chunk.Headings.ToArray() },
            new() { Value = space },
            new() { Value = chunk.Embedding },
            new() { Value = chunk.Hash },
        },
    };

    /// <returns>The sum of the chunks' lengths in terms.</returns>
    private static async Task<long> WritePostingsAsync(
        NpgsqlConnection connection, Guid collectionId, Guid[] ids, IReadOnlyList<IndexedChunk> chunks, CancellationToken cancellationToken)
    {
        var total = 0L;
        await using var import = await connection.BeginBinaryImportAsync(
            "COPY postings (term, collection_id, chunk_id, frequency, length) FROM STDIN (FORMAT BINARY)", cancellationToken);
        for (var ordinal = 0; ordinal < chunks.Count; ordinal++)
        {
            var counts = LexicalAnalyzer.Count(chunks[ordinal].Chunk.SearchText);
            var length = counts.Values.Sum();
            total += length;
            foreach (var (term, frequency) in counts)
            {
                await import.StartRowAsync(cancellationToken);
                await import.WriteAsync(term, NpgsqlDbType.Text, cancellationToken);
                await import.WriteAsync(collectionId, NpgsqlDbType.Uuid, cancellationToken);
                await import.WriteAsync(ids[ordinal], NpgsqlDbType.Uuid, cancellationToken);
                await import.WriteAsync(frequency, NpgsqlDbType.Integer, cancellationToken);
                await import.WriteAsync(length, NpgsqlDbType.Integer, cancellationToken);
            }
        }

        await import.CompleteAsync(cancellationToken);
        return total;
    }

    private static async Task AddStatisticsAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid collectionId, Guid documentId, long chunks, long length,
        CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection, transaction)
        {
            BatchCommands =
            {
                new(
                    """
                    INSERT INTO collection_terms AS t (collection_id, term, chunks)
                    SELECT $1, p.term, count(*) FROM postings p JOIN chunks c ON c.id = p.chunk_id WHERE c.document_id = $2 GROUP BY p.term
                    ON CONFLICT (collection_id, term) DO UPDATE SET chunks = t.chunks + excluded.chunks
                    """)
                {
                    Parameters = { new() { Value = collectionId }, new() { Value = documentId } },
                },
                new(
                    """
                    INSERT INTO collection_statistics AS s (collection_id, chunks, length) VALUES ($1, $2, $3)
                    ON CONFLICT (collection_id) DO UPDATE SET chunks = s.chunks + excluded.chunks, length = s.length + excluded.length
                    """)
                {
                    Parameters = { new() { Value = collectionId }, new() { Value = chunks }, new() { Value = length } },
                },
            },
        };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}
