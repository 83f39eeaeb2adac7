using System.Data.Common;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Fleet.Contracts.Events;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>Records events in the caller's transaction: they are published if and only if it commits.</summary>
public sealed class Outbox(IMeterFactory meters)
{
    private const string Insert = "INSERT INTO outbox_messages (event_id, type, payload) VALUES ($1, $2, $3)";

    private readonly Counter<long> _recorded = meters.Create("Fleet.Messaging").CreateCounter<long>("fleet.outbox.recorded", "{event}", "Events written to the outbox.");

    /// <param name="connection">The Npgsql connection of <paramref name="transaction"/>.</param>
    public async Task AddAsync(DbConnection connection, DbTransaction transaction, IntegrationEvent integrationEvent, CancellationToken cancellationToken)
    {
        var type = integrationEvent.GetType();
        await using var command = new NpgsqlCommand(Insert, (NpgsqlConnection)connection, (NpgsqlTransaction)transaction);
        command.Parameters.Add(new() { Value = integrationEvent.EventId });
        command.Parameters.Add(new() { Value = type.Name });
        command.Parameters.Add(new() { Value = JsonSerializer.Serialize(integrationEvent, type, EventTypes.Json), NpgsqlDbType = NpgsqlDbType.Jsonb });
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        _recorded.Add(1, new KeyValuePair<string, object?>("type", type.Name));
    }
}
