using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Chat.Events;

/// <summary>An erased person's conversations go with them; a reply being written finds no run to store itself in.</summary>
internal sealed class UserErasedHandler : IEventHandler<UserErased>
{
    public async Task HandleAsync(UserErased integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("delete from sessions where user_id = $1", scope.Connection, scope.Transaction);
        command.Parameters.Add(new() { Value = integrationEvent.UserId });
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }
}
