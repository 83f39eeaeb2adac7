using System.Text.Json;
using Fleet.Contracts.Events;
using Fleet.Notification.Delivery;
using Fleet.Notification.Telemetry;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Notification.Notifications;

/// <summary>Turns an event into one stored notification and wakes its readers when the event's transaction commits.</summary>
internal sealed class NotificationWriter(NotificationMetrics metrics)
{
    /// <param name="userId">Null for all administrators.</param>
    public async Task WriteAsync(
        EventScope scope, IntegrationEvent cause, Guid? userId, string kind, Dictionary<string, string> parameters, bool quiet,
        CancellationToken cancellationToken)
    {
        // pg_notify is delivered at commit, and not at all when the row was there already.
        await using var command = new NpgsqlCommand(
            """
            WITH written AS (
                INSERT INTO notifications (id, event_id, user_id, kind, parameters, quiet, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (event_id, user_id, kind) DO NOTHING
                RETURNING id, user_id)
            SELECT pg_notify($8, coalesce(user_id::text, 'administrators') || ' ' || id::text) FROM written
            """, scope.Connection, scope.Transaction)
        {
            Parameters =
            {
                new() { Value = Guid.CreateVersion7() },
                new() { Value = cause.EventId },
                new() { Value = (object?)userId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid },
                new() { Value = kind },
                new() { Value = JsonSerializer.Serialize(parameters), NpgsqlDbType = NpgsqlDbType.Jsonb },
                new() { Value = quiet },
                new() { Value = cause.OccurredAt.ToUniversalTime() },
                new() { Value = NotificationHub.Channel },
            },
        };

        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (await reader.ReadAsync(cancellationToken))
            metrics.Written(kind);
    }
}
