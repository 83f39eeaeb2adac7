using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

/// <summary>Goes to all administrators, also those appointed later.</summary>
internal sealed class AlertRaisedHandler(NotificationWriter writer) : IEventHandler<AlertRaised>
{
    public Task HandleAsync(AlertRaised integrationEvent, EventScope scope, CancellationToken cancellationToken) =>
        writer.WriteAsync(
            scope, integrationEvent, userId: null, NotificationKind.Alert,
            new() { ["rule"] = integrationEvent.Rule, ["summary"] = integrationEvent.Summary }, quiet: false, cancellationToken);
}
