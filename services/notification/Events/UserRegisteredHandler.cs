using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

internal sealed class UserRegisteredHandler(NotificationWriter writer) : IEventHandler<UserRegistered>
{
    public Task HandleAsync(UserRegistered integrationEvent, EventScope scope, CancellationToken cancellationToken) =>
        writer.WriteAsync(
            scope, integrationEvent, integrationEvent.UserId, NotificationKind.Welcome,
            new() { ["userName"] = integrationEvent.UserName }, quiet: false, cancellationToken);
}
