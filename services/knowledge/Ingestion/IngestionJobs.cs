using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Knowledge.Ingestion;

/// <summary>A document held by one worker until its lease runs out.</summary>
internal sealed record IngestionJob(Guid DocumentId, Guid LeaseId, int Attempt);

/// <summary>The work queue. Leases are measured by PostgreSQL's clock, so that replicas need not agree on the time.</summary>
internal sealed class IngestionJobs(NpgsqlDataSource database, IOptions<IngestionOptions> options)
{
    /// <summary>Asks for a document to be ingested (again); whoever works on it now loses its lease.</summary>
    /// <returns>False when the document is not the owner's.</returns>
    public static async Task<bool> EnqueueAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid documentId, Guid ownerId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            WITH job AS (
                INSERT INTO ingestion_jobs (document_id, owner_id)
                SELECT id, owner_id FROM documents WHERE id = $1 AND owner_id = $2
                ON CONFLICT (document_id) DO UPDATE
                    SET run_at = now(), attempts = 0, lease_id = NULL, lease_until = NULL, last_error = NULL
                RETURNING document_id)
            SELECT pg_notify('{IngestionSignals.JobsChannel}', '') FROM job
            """, connection, transaction)
        {
            Parameters = { new() { Value = documentId }, new() { Value = ownerId } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken);
    }

    /// <summary>The next document that is due, of whoever has the fewest in work: one big import does not starve the others.</summary>
    public async Task<IngestionJob?> ClaimAsync(CancellationToken cancellationToken)
    {
        var lease = Guid.NewGuid();
        await using var command = database.CreateCommand(
            """
            UPDATE ingestion_jobs SET lease_id = $1, lease_until = now() + $2, attempts = attempts + 1
            WHERE document_id = (
                SELECT j.document_id FROM ingestion_jobs j
                WHERE j.run_at <= now() AND (j.lease_until IS NULL OR j.lease_until < now())
                ORDER BY (SELECT count(*) FROM ingestion_jobs o WHERE o.owner_id = j.owner_id AND o.lease_until > now()), j.run_at
                FOR UPDATE OF j SKIP LOCKED LIMIT 1)
            RETURNING document_id, attempts
            """);
        command.Parameters.Add(new() { Value = lease });
        command.Parameters.Add(new() { Value = options.Value.Lease });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new IngestionJob(reader.GetGuid(0), lease, reader.GetInt32(1)) : null;
    }

    /// <summary>Puts the document back for a later attempt.</summary>
    public async Task PostponeAsync(IngestionJob job, TimeSpan delay, string error, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE ingestion_jobs SET run_at = now() + $3, lease_id = NULL, lease_until = NULL, last_error = $4
            WHERE document_id = $1 AND lease_id = $2
            """);
        command.Parameters.Add(new() { Value = job.DocumentId });
        command.Parameters.Add(new() { Value = job.LeaseId });
        command.Parameters.Add(new() { Value = delay });
        command.Parameters.Add(new() { Value = error });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Gives the document back because this replica stops; the attempt does not count.</summary>
    public async Task ReleaseAsync(IngestionJob job, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            WITH job AS (
                UPDATE ingestion_jobs SET lease_id = NULL, lease_until = NULL, attempts = attempts - 1
                WHERE document_id = $1 AND lease_id = $2 RETURNING document_id)
            SELECT pg_notify('{IngestionSignals.JobsChannel}', '') FROM job
            """);
        command.Parameters.Add(new() { Value = job.DocumentId });
        command.Parameters.Add(new() { Value = job.LeaseId });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
