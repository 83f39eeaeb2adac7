using System.Data.Common;
using Fleet.Knowledge.Ingestion;
using Fleet.ServiceDefaults.Http;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Knowledge.Collections;

internal sealed class CollectionStore(NpgsqlDataSource database)
{
    private const string Select =
        """
        SELECT c.id, c.name, c.description, d.documents, d.indexed, d.failed, d.size_bytes, c.created_at, c.updated_at
        FROM collections c CROSS JOIN LATERAL (
            SELECT count(*) AS documents, count(*) FILTER (WHERE status = 'indexed') AS indexed,
                   count(*) FILTER (WHERE status = 'failed') AS failed, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
            FROM documents WHERE collection_id = c.id) d
        WHERE c.owner_id = $1
        """;

    public async Task<Collection> CreateAsync(Guid ownerId, string name, string description, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7();
        await using var command = database.CreateCommand(
            """
            INSERT INTO collections (id, owner_id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
            RETURNING created_at
            """);
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = name });
        command.Parameters.Add(new() { Value = description });
        command.Parameters.Add(new() { Value = now });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        // As stored: PostgreSQL keeps microseconds.
        var createdAt = await reader.GetFieldValueAsync<DateTimeOffset>(0, cancellationToken);
        return new Collection(id, name, description, 0, 0, 0, 0, createdAt, createdAt);
    }

    public async Task<IReadOnlyList<Collection>> ListAsync(Guid ownerId, Cursor? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"{Select} AND ($2::timestamptz IS NULL OR (c.created_at, c.id) < ($2, $3)) ORDER BY c.created_at DESC, c.id DESC LIMIT $4");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = (object?)before?.Time ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        command.Parameters.Add(new() { Value = (object?)before?.Id ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = limit });

        var collections = new List<Collection>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            collections.Add(Read(reader));

        return collections;
    }

    public async Task<Collection?> FindAsync(Guid ownerId, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"{Select} AND c.id = $2");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    public async Task<bool> ExistsAsync(Guid ownerId, Guid id, CancellationToken cancellationToken) =>
        await CountAsync(ownerId, [id], cancellationToken) == 1;

    /// <summary>How many of these collections the owner has.</summary>
    public async Task<long> CountAsync(Guid ownerId, Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT count(*) FROM collections WHERE owner_id = $1 AND id = ANY($2)");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = ids });
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <param name="name">Null keeps the name.</param>
    /// <param name="description">Null keeps the description.</param>
    public async Task<bool> UpdateAsync(
        Guid ownerId, Guid id, string? name, string? description, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE collections SET name = coalesce($3, name), description = coalesce($4, description), updated_at = $5
            WHERE owner_id = $1 AND id = $2
            """);
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = (object?)name ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = (object?)description ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = now });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <returns>The documents that were in it, whose files are to be deleted; null when there is no such collection.</returns>
    public async Task<IReadOnlyList<Guid>?> DeleteAsync(Guid ownerId, Guid id, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // Whoever writes chunks of it holds this lock before any row.
        await ChunkStore.LockCollectionAsync(connection, transaction, id, cancellationToken);

        // Locked, so that no document is added between the two statements.
        await using (var find = new NpgsqlCommand("SELECT 1 FROM collections WHERE owner_id = $1 AND id = $2 FOR UPDATE", connection, transaction))
        {
            find.Parameters.Add(new() { Value = ownerId });
            find.Parameters.Add(new() { Value = id });
            if (await find.ExecuteScalarAsync(cancellationToken) is null)
                return null;
        }

        var documents = new List<Guid>();
        await using (var list = new NpgsqlCommand("SELECT id FROM documents WHERE collection_id = $1", connection, transaction))
        {
            list.Parameters.Add(new() { Value = id });
            await using var reader = await list.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                documents.Add(reader.GetGuid(0));
        }

        await using (var delete = new NpgsqlCommand("DELETE FROM collections WHERE id = $1", connection, transaction))
        {
            delete.Parameters.Add(new() { Value = id });
            await delete.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return documents;
    }

    private static Collection Read(DbDataReader row) => new(
        row.GetGuid(0), row.GetString(1), row.GetString(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6),
        row.GetFieldValue<DateTimeOffset>(7), row.GetFieldValue<DateTimeOffset>(8));
}
