using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Analytics.Events;

internal sealed class DocumentIndexedHandler : IEventHandler<DocumentIndexed>
{
    public async Task HandleAsync(DocumentIndexed integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO indexed_documents (document_id, user_id, chunks, duration_ms, indexed_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (document_id) DO UPDATE
                SET chunks = excluded.chunks, duration_ms = excluded.duration_ms, indexed_at = excluded.indexed_at
                WHERE indexed_documents.indexed_at <= excluded.indexed_at
            """, scope.Connection, scope.Transaction)
        {
            Parameters =
            {
                new() { Value = integrationEvent.DocumentId }, new() { Value = integrationEvent.UserId }, new() { Value = integrationEvent.Chunks },
                new() { Value = integrationEvent.Duration.TotalMilliseconds }, new() { Value = integrationEvent.OccurredAt.ToUniversalTime() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
