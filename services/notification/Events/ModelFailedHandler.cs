using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

/// <summary>Goes to all administrators, also those appointed later.</summary>
internal sealed class ModelFailedHandler(NotificationWriter writer) : IEventHandler<ModelFailed>
{
    public Task HandleAsync(ModelFailed integrationEvent, EventScope scope, CancellationToken cancellationToken) =>
        writer.WriteAsync(
            scope, integrationEvent, userId: null, NotificationKind.ModelFailed,
            new() { ["model"] = integrationEvent.Model, ["reason"] = integrationEvent.Reason }, quiet: false, cancellationToken);
}
