using Fleet.Contracts.Events;
using MassTransit;
using Npgsql;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>The inbox: takes an event from the broker and lets its handler act exactly once.</summary>
internal sealed class EventConsumer<TEvent, THandler>(NpgsqlDataSource database, THandler handler) : IConsumer<TEvent>
    where TEvent : IntegrationEvent
    where THandler : class, IEventHandler<TEvent>
{
    private static readonly string HandlerName = typeof(THandler).Name;

    public async Task Consume(ConsumeContext<TEvent> context)
    {
        var cancellationToken = context.CancellationToken;
        await using var connection = await database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);

        // A concurrent second delivery waits here for the first one's commit and then sees its row.
        await using var insert = new NpgsqlCommand("INSERT INTO inbox_messages (event_id, handler) VALUES ($1, $2) ON CONFLICT DO NOTHING", connection, transaction);
        insert.Parameters.Add(new() { Value = context.Message.EventId });
        insert.Parameters.Add(new() { Value = HandlerName });
        if (await insert.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) == 0) return;

        await handler.HandleAsync(context.Message, new EventScope(connection, transaction), cancellationToken).ConfigureAwait(false);
        await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
    }
}
