using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

internal sealed class ReplyFailedHandler(NotificationWriter writer) : IEventHandler<ReplyFailed>
{
    public Task HandleAsync(ReplyFailed integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        if (integrationEvent.SessionId is not { } sessionId)
            return Task.CompletedTask;

        var parameters = new Dictionary<string, string>
        {
            ["sessionId"] = sessionId.ToString(),
            ["messageId"] = integrationEvent.MessageId?.ToString() ?? "",
            ["model"] = integrationEvent.Model,
            ["errorType"] = integrationEvent.ErrorType,
        };
        return writer.WriteAsync(
            scope, integrationEvent, integrationEvent.UserId, NotificationKind.ReplyFailed, parameters, quiet: false, cancellationToken);
    }
}
