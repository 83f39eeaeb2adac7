using System.Globalization;
using System.Text;
using Npgsql;

namespace Fleet.Knowledge.Ingestion;

/// <summary>Embedding spaces with their indexes, and vectors that are already known.</summary>
internal sealed class EmbeddingStore(NpgsqlDataSource database)
{
    /// <summary>pgvector's HNSW takes this many dimensions of <c>vector</c>, and twice as many of <c>halfvec</c>.</summary>
    private const int MaxVectorDimensions = 2000;
    private const int MaxHalfVectorDimensions = 4000;

    /// <summary>The expression that both the index of a space and its queries use; they must be the same to meet.</summary>
    public static string IndexedExpression(int dimensions) => dimensions <= MaxVectorDimensions
        ? string.Create(CultureInfo.InvariantCulture, $"embedding::vector({dimensions})")
        : string.Create(CultureInfo.InvariantCulture, $"embedding::halfvec({dimensions})");

    public static string TypeOf(int dimensions) => dimensions <= MaxVectorDimensions ? "vector" : "halfvec";

    /// <summary>Makes the HNSW index of a space that has not been seen before: while it is empty that takes no time.</summary>
    public async Task EnsureSpaceAsync(string space, string model, int dimensions, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using (var find = new NpgsqlCommand("SELECT 1 FROM embedding_spaces WHERE space = $1", connection))
        {
            find.Parameters.Add(new() { Value = space });
            if (await find.ExecuteScalarAsync(cancellationToken) is not null)
                return;
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var register = new NpgsqlCommand(
            """
            INSERT INTO embedding_spaces (space, model, dimensions) SELECT $1, $2, $3
            WHERE (SELECT true FROM pg_advisory_xact_lock(hashtextextended('fleet embedding spaces', 0))) ON CONFLICT DO NOTHING
            """, connection, transaction))
        {
            register.Parameters.Add(new() { Value = space });
            register.Parameters.Add(new() { Value = model });
            register.Parameters.Add(new() { Value = dimensions });
            if (await register.ExecuteNonQueryAsync(cancellationToken) == 0)
                return;
        }

        // Wider vectors are searched without an index: correct, only slower.
        if (dimensions <= MaxHalfVectorDimensions)
        {
            // DDL takes no parameters: the name is a hash, the space a quoted literal, the width a number.
            var name = "chunks_hnsw_" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(space)))[..16];
            var literal = space.Replace("'", "''", StringComparison.Ordinal);
#pragma warning disable CA2100 // See above.
            await using var index = new NpgsqlCommand(
                $"CREATE INDEX IF NOT EXISTS {name} ON chunks USING hnsw (({IndexedExpression(dimensions)}) {TypeOf(dimensions)}_cosine_ops) WHERE space = '{literal}'",
                connection, transaction);
#pragma warning restore CA2100
            await index.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Vectors of these inputs that were computed before in this space, for whichever document.</summary>
    public async Task<Dictionary<string, float[]>> FindAsync(string space, IReadOnlyCollection<byte[]> hashes, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT text_hash, embedding::real[] FROM embedding_cache WHERE space = $1 AND text_hash = ANY($2)
            UNION ALL
            SELECT embedded_hash, embedding::real[] FROM chunks WHERE space = $1 AND embedded_hash = ANY($2)
            """);
        command.Parameters.Add(new() { Value = space });
        command.Parameters.Add(new() { Value = hashes.ToArray() });

        var found = new Dictionary<string, float[]>(StringComparer.Ordinal);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found[Convert.ToHexString(reader.GetFieldValue<byte[]>(0))] = reader.GetFieldValue<float[]>(1);

        return found;
    }

    public async Task SaveAsync(
        Guid documentId, string space, IReadOnlyList<(byte[] Hash, float[] Embedding)> vectors, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        foreach (var (hash, embedding) in vectors)
        {
            // The document may have been deleted meanwhile; then there is nothing to remember.
            batch.BatchCommands.Add(new(
                """
                INSERT INTO embedding_cache (space, text_hash, document_id, embedding)
                SELECT $1, $2, id, $4::real[]::vector FROM documents WHERE id = $3 ON CONFLICT DO NOTHING
                """)
            {
                Parameters =
                {
                    new() { Value = space },
                    new() { Value = hash },
                    new() { Value = documentId },
                    new() { Value = embedding },
                },
            });
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}
