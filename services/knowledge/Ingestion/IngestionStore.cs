using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Knowledge.Ingestion;

/// <summary>The document as the worker needs it.</summary>
internal sealed record IngestionSource(Guid DocumentId, Guid CollectionId, Guid OwnerId, string Name, string MediaType);

/// <summary>Another worker has the document, or it is gone: this one stops without a trace.</summary>
internal sealed class LeaseLostException() : Exception("The lease on the document was lost.");

/// <summary>Records progress. Every write is fenced by the lease: a worker that was taken for dead changes nothing any more.</summary>
internal sealed class IngestionStore(NpgsqlDataSource database, Outbox outbox, IngestionLease lease)
{
    public async Task<IngestionSource?> LoadAsync(Guid documentId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT collection_id, owner_id, name, media_type FROM documents WHERE id = $1");
        command.Parameters.Add(new() { Value = documentId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new IngestionSource(documentId, reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3))
            : null;
    }

    /// <summary>parsed: the text is stored.</summary>
    public Task SaveTextAsync(IngestionJob job, string text, CancellationToken cancellationToken) => InTransactionAsync(job, collectionId: null, async (connection, transaction) =>
    {
        await using var save = new NpgsqlCommand(
            """
            INSERT INTO document_texts (document_id, text) VALUES ($1, $2) ON CONFLICT (document_id) DO UPDATE SET text = excluded.text
            """, connection, transaction)
        {
            Parameters = { new() { Value = job.DocumentId }, new() { Value = text } },
        };
        await save.ExecuteNonQueryAsync(cancellationToken);
        await UpdateAsync(connection, transaction, job.DocumentId, "status = 'parsed', characters = $2", text.Length, cancellationToken);
    }, cancellationToken);

    /// <summary>split: the number of chunks is known.</summary>
    public Task SaveSplitAsync(IngestionJob job, int chunks, CancellationToken cancellationToken) => InTransactionAsync(job, collectionId: null,
        (connection, transaction) => UpdateAsync(
            connection, transaction, job.DocumentId, "status = 'split', chunks = $2, embedded_chunks = 0", chunks, cancellationToken), cancellationToken);

    /// <summary>Progress of embedding; embedded when all are done.</summary>
    public Task SaveEmbeddedAsync(IngestionJob job, int done, bool all, CancellationToken cancellationToken) => InTransactionAsync(job, collectionId: null,
        (connection, transaction) => UpdateAsync(
            connection, transaction, job.DocumentId, all ? "status = 'embedded', embedded_chunks = $2" : "embedded_chunks = $2", done, cancellationToken),
        cancellationToken);

    /// <summary>indexed: chunks, statistics, status, the end of the job and the event are one transaction.</summary>
    public Task CompleteAsync(
        IngestionJob job, IngestionSource source, EmbeddedDocument embedded, TimeSpan duration, CancellationToken cancellationToken) =>
        InTransactionAsync(job, source.CollectionId, async (connection, transaction) =>
        {
            await ChunkStore.ReplaceAsync(
                connection, transaction, source.CollectionId, source.DocumentId, embedded.Space, embedded.Chunks, cancellationToken);
            await UpdateAsync(connection, transaction, job.DocumentId,
                "status = 'indexed', failure_reason = NULL, indexed_at = now(), embedding_space = $2", embedded.Space, cancellationToken);
            await EndAsync(connection, transaction, job, cancellationToken);
            await outbox.AddAsync(connection, transaction, new DocumentIndexed
            {
                UserId = source.OwnerId,
                CollectionId = source.CollectionId,
                DocumentId = source.DocumentId,
                Name = source.Name,
                Chunks = embedded.Chunks.Count,
                Duration = duration,
            }, cancellationToken);
        }, cancellationToken);

    /// <summary>failed, for good: whatever was indexed of it before is taken out, and the uploader is told why.</summary>
    public Task FailAsync(IngestionJob job, IngestionSource source, string reason, CancellationToken cancellationToken) =>
        InTransactionAsync(job, source.CollectionId, async (connection, transaction) =>
        {
            await ChunkStore.RemoveAsync(connection, transaction, source.CollectionId, source.DocumentId, cancellationToken);
            await UpdateAsync(connection, transaction, job.DocumentId,
                "status = 'failed', failure_reason = $2, chunks = 0, embedded_chunks = 0, indexed_at = NULL", reason, cancellationToken);
            await EndAsync(connection, transaction, job, cancellationToken);
            await outbox.AddAsync(connection, transaction, new DocumentFailed
            {
                UserId = source.OwnerId,
                CollectionId = source.CollectionId,
                DocumentId = source.DocumentId,
                Name = source.Name,
                Reason = reason,
            }, cancellationToken);
        }, cancellationToken);

    private async Task InTransactionAsync(
        IngestionJob job, Guid? collectionId, Func<NpgsqlConnection, NpgsqlTransaction, Task> write, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (collectionId is { } collection)
            await ChunkStore.LockCollectionAsync(connection, transaction, collection, cancellationToken);

        if (!await lease.RenewAsync(connection, transaction, job, cancellationToken))
            throw new LeaseLostException();

        await write(connection, transaction);
        await IngestionSignals.NotifyAsync(connection, transaction, job.DocumentId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task UpdateAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid documentId, string assignments, object value,
        CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // Assignments are literals of this file.
        await using var command = new NpgsqlCommand($"UPDATE documents SET {assignments}, updated_at = now() WHERE id = $1", connection, transaction)
#pragma warning restore CA2100
        {
            Parameters = { new() { Value = documentId }, new() { Value = value } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task EndAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, IngestionJob job, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection, transaction);
        foreach (var table in new[] { "ingestion_jobs", "embedding_cache" })
            batch.BatchCommands.Add(new($"DELETE FROM {table} WHERE document_id = $1") { Parameters = { new() { Value = job.DocumentId } } });

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}
