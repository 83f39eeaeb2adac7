using Fleet.Contracts.Events;
using Npgsql;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>Reacts to an event, once per event: resolved in a scope of its own, retried when it throws, then parked in the error queue.</summary>
public interface IEventHandler<in TEvent> where TEvent : IntegrationEvent
{
    /// <param name="scope">Write through it: what it writes commits together with the note that this event was handled.</param>
    Task HandleAsync(TEvent integrationEvent, EventScope scope, CancellationToken cancellationToken);
}

/// <summary>The transaction in which one event is handled. Valid until the handler returns.</summary>
public sealed record EventScope(NpgsqlConnection Connection, NpgsqlTransaction Transaction);

/// <summary>Publishes without an outbox, for services that have no database; the caller learns when the broker refused.</summary>
public interface IEventPublisher
{
    Task PublishAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken);
}
