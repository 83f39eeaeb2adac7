using System.Globalization;
using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

internal sealed class ReplyCompletedHandler(NotificationWriter writer) : IEventHandler<ReplyCompleted>
{
    public Task HandleAsync(ReplyCompleted integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        // Plain generation and API calls keep no conversation: there is nothing to come back to.
        if (integrationEvent.SessionId is not { } sessionId)
            return Task.CompletedTask;

        var parameters = new Dictionary<string, string>
        {
            ["sessionId"] = sessionId.ToString(),
            ["messageId"] = integrationEvent.MessageId?.ToString() ?? "",
            ["model"] = integrationEvent.Model,
            ["finishReason"] = integrationEvent.FinishReason,
            ["completionTokens"] = integrationEvent.CompletionTokens.ToString(CultureInfo.InvariantCulture),
        };
        return writer.WriteAsync(
            scope, integrationEvent, integrationEvent.UserId, NotificationKind.ReplyCompleted, parameters, quiet: true, cancellationToken);
    }
}
