using System.Data.Common;
using Fleet.Contracts.Events;
using Fleet.Knowledge.Ingestion;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Knowledge.Documents;

/// <summary>Documents as their owner sees them: the owner is part of every statement.</summary>
internal sealed class DocumentStore(NpgsqlDataSource database, Outbox outbox)
{
    private const string Select =
        """
        SELECT d.id, d.collection_id, d.name, d.media_type, d.size_bytes, d.status, d.failure_reason, d.characters, d.chunks,
               d.embedded_chunks, d.indexed_at IS NOT NULL AND j.document_id IS NOT NULL, d.created_at, d.updated_at, d.indexed_at
        FROM documents d LEFT JOIN ingestion_jobs j ON j.document_id = d.id
        WHERE d.owner_id = $1
        """;

    /// <summary>Stores a document with its job and event; the file is moved to its place before the commit.</summary>
    /// <returns>The document, and whether it is new; null when the collection is not the owner's.</returns>
    public async Task<(Document Document, bool IsNew)?> AddAsync(
        Guid ownerId, Guid collectionId, string name, string mediaType, IncomingFile file, DocumentFiles files, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7();
        bool isNew;
        await using (var connection = await database.OpenConnectionAsync(cancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            isNew = await InsertAsync(connection, transaction, id, ownerId, collectionId, name, mediaType, file, now, cancellationToken);
            if (isNew)
            {
                await IngestionJobs.EnqueueAsync(connection, transaction, id, ownerId, cancellationToken);
                await outbox.AddAsync(connection, transaction, new DocumentUploaded
                {
                    UserId = ownerId,
                    CollectionId = collectionId,
                    DocumentId = id,
                    SizeBytes = file.SizeBytes,
                    MediaType = mediaType,
                }, cancellationToken);
                files.Keep(file, id);
            }

            try
            {
                await transaction.CommitAsync(cancellationToken);
            }
            catch when (isNew)
            {
                files.Delete(id);
                throw;
            }
        }

        var document = isNew
            ? await FindAsync(ownerId, id, cancellationToken)
            : await FindByHashAsync(ownerId, collectionId, file.Hash, cancellationToken);
        return document is null ? null : (document, isNew);
    }

    public async Task<IReadOnlyList<Document>> ListAsync(
        Guid ownerId, Guid collectionId, Cursor? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            {Select} AND d.collection_id = $2 AND ($3::timestamptz IS NULL OR (d.created_at, d.id) < ($3, $4))
            ORDER BY d.created_at DESC, d.id DESC LIMIT $5
            """);
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = collectionId });
        command.Parameters.Add(new() { Value = (object?)before?.Time ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        command.Parameters.Add(new() { Value = (object?)before?.Id ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = limit });

        var documents = new List<Document>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            documents.Add(Read(reader));

        return documents;
    }

    public async Task<Document?> FindAsync(Guid ownerId, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"{Select} AND d.id = $2");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    public async Task<string?> ReadTextAsync(Guid ownerId, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "SELECT t.text FROM document_texts t JOIN documents d ON d.id = t.document_id WHERE d.owner_id = $1 AND d.id = $2");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = id });
        return (string?)await command.ExecuteScalarAsync(cancellationToken);
    }

    public async Task<IReadOnlyList<DocumentChunk>> ListChunksAsync(
        Guid ownerId, Guid id, int fromOrdinal, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT c.id, c.ordinal, c.page, c.start_offset, c.end_offset, c.text, c.headings
            FROM chunks c JOIN documents d ON d.id = c.document_id
            WHERE d.owner_id = $1 AND d.id = $2 AND c.ordinal >= $3 ORDER BY c.ordinal LIMIT $4
            """);
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = fromOrdinal });
        command.Parameters.Add(new() { Value = limit });

        var chunks = new List<DocumentChunk>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            chunks.Add(new DocumentChunk(
                reader.GetGuid(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3), reader.GetInt32(4), reader.GetString(5),
                reader.GetFieldValue<string[]>(6)));
        }

        return chunks;
    }

    public async Task<bool> DeleteAsync(Guid ownerId, Guid id, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        Guid collectionId;
        await using (var find = new NpgsqlCommand("SELECT collection_id FROM documents WHERE owner_id = $1 AND id = $2", connection, transaction))
        {
            find.Parameters.Add(new() { Value = ownerId });
            find.Parameters.Add(new() { Value = id });
            if (await find.ExecuteScalarAsync(cancellationToken) is not Guid found)
                return false;

            collectionId = found;
        }

        await ChunkStore.LockCollectionAsync(connection, transaction, collectionId, cancellationToken);
        await ChunkStore.RemoveAsync(connection, transaction, collectionId, id, cancellationToken);
        await using (var delete = new NpgsqlCommand("DELETE FROM documents WHERE owner_id = $1 AND id = $2", connection, transaction))
        {
            delete.Parameters.Add(new() { Value = ownerId });
            delete.Parameters.Add(new() { Value = id });
            if (await delete.ExecuteNonQueryAsync(cancellationToken) == 0)
                return false;
        }

        await IngestionSignals.NotifyAsync(connection, transaction, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Puts the document back to its first stage; what is indexed stays searchable until it is replaced.</summary>
    public async Task<bool> ReindexAsync(Guid ownerId, Guid id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // The job before the document: workers lock them in this order.
        if (!await IngestionJobs.EnqueueAsync(connection, transaction, id, ownerId, cancellationToken))
            return false;

        await using (var update = new NpgsqlCommand(
            """
            UPDATE documents SET status = 'stored', failure_reason = NULL, embedded_chunks = 0, updated_at = $3
            WHERE owner_id = $1 AND id = $2
            """, connection, transaction))
        {
            update.Parameters.Add(new() { Value = ownerId });
            update.Parameters.Add(new() { Value = id });
            update.Parameters.Add(new() { Value = now });
            await update.ExecuteNonQueryAsync(cancellationToken);
        }

        await IngestionSignals.NotifyAsync(connection, transaction, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    private static async Task<bool> InsertAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid id, Guid ownerId, Guid collectionId, string name, string mediaType,
        IncomingFile file, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var insert = new NpgsqlCommand(
            """
            INSERT INTO documents (id, collection_id, owner_id, name, media_type, size_bytes, content_hash, status, created_at, updated_at)
            SELECT $1, c.id, c.owner_id, $4, $5, $6, $7, 'stored', $8, $8 FROM collections c WHERE c.id = $3 AND c.owner_id = $2
            ON CONFLICT (collection_id, content_hash) DO NOTHING
            """, connection, transaction)
        {
            Parameters =
            {
                new() { Value = id }, new() { Value = ownerId }, new() { Value = collectionId }, new() { Value = name },
                new() { Value = mediaType }, new() { Value = file.SizeBytes }, new() { Value = file.Hash }, new() { Value = now },
            },
        };
        return await insert.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private async Task<Document?> FindByHashAsync(Guid ownerId, Guid collectionId, byte[] hash, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"{Select} AND d.collection_id = $2 AND d.content_hash = $3");
        command.Parameters.Add(new() { Value = ownerId });
        command.Parameters.Add(new() { Value = collectionId });
        command.Parameters.Add(new() { Value = hash });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    private static Document Read(DbDataReader row) => new(
        row.GetGuid(0), row.GetGuid(1), row.GetString(2), row.GetString(3), row.GetInt64(4),
        Enum.Parse<DocumentStatus>(row.GetString(5), ignoreCase: true),
        row.IsDBNull(6) ? null : row.GetString(6), row.GetInt32(7), row.GetInt32(8), row.GetInt32(9), row.GetBoolean(10),
        row.GetFieldValue<DateTimeOffset>(11), row.GetFieldValue<DateTimeOffset>(12),
        row.IsDBNull(13) ? null : row.GetFieldValue<DateTimeOffset>(13));
}
