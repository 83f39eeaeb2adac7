using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Notification.Events;

internal sealed class UserErasedHandler : IEventHandler<UserErased>
{
    public async Task HandleAsync(UserErased integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(scope.Connection, scope.Transaction);
        foreach (var table in new[] { "notifications", "administrator_reads" })
        {
            batch.BatchCommands.Add(new($"DELETE FROM {table} WHERE user_id = $1")
            {
                Parameters = { new() { Value = integrationEvent.UserId } },
            });
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}
