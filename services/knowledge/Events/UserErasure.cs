using Fleet.Contracts.Events;
using Fleet.Knowledge.Documents;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Knowledge.Events;

internal static class UserErasure
{
    public static MessagingBuilder AddUserErasure(this MessagingBuilder messaging) => messaging.AddHandler<UserErased, KnowledgeErasureHandler>();
}

/// <summary>Deletes everything of a person. Files go first: if the transaction fails then, the retry finds the rows and deletes them.</summary>
internal sealed class KnowledgeErasureHandler(DocumentFiles files) : IEventHandler<UserErased>
{
    public async Task HandleAsync(UserErased integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        await using (var list = new NpgsqlCommand("SELECT id FROM documents WHERE owner_id = $1", scope.Connection, scope.Transaction))
        {
            list.Parameters.Add(new() { Value = integrationEvent.UserId });
            await using var reader = await list.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                files.Delete(reader.GetGuid(0));
        }

        await using var delete = new NpgsqlCommand("DELETE FROM collections WHERE owner_id = $1", scope.Connection, scope.Transaction);
        delete.Parameters.Add(new() { Value = integrationEvent.UserId });
        await delete.ExecuteNonQueryAsync(cancellationToken);
    }
}
