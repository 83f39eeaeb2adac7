using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Knowledge.Ingestion;

/// <summary>Proof that the worker still holds its document; every proof is also a sign of life.</summary>
internal sealed class IngestionLease(IOptions<IngestionOptions> options)
{
    /// <summary>Locks the job until the transaction ends, so that nobody takes the document in between.</summary>
    public async Task<bool> RenewAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, IngestionJob job, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "UPDATE ingestion_jobs SET lease_until = now() + $3 WHERE document_id = $1 AND lease_id = $2", connection, transaction)
        {
            Parameters = { new() { Value = job.DocumentId }, new() { Value = job.LeaseId }, new() { Value = options.Value.Lease } },
        };
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }
}
