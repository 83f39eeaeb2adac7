using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Analytics.Events;

internal sealed class UserRegisteredHandler : IEventHandler<UserRegistered>
{
    public async Task HandleAsync(UserRegistered integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO users (user_id, user_name, registered_at) VALUES ($1, $2, $3)
            ON CONFLICT (user_id) DO UPDATE SET user_name = excluded.user_name
            """, scope.Connection, scope.Transaction)
        {
            Parameters = { new() { Value = integrationEvent.UserId }, new() { Value = integrationEvent.UserName }, new() { Value = integrationEvent.OccurredAt.ToUniversalTime() } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
