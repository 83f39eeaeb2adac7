using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

internal sealed class DocumentFailedHandler(NotificationWriter writer) : IEventHandler<DocumentFailed>
{
    public Task HandleAsync(DocumentFailed integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        var parameters = new Dictionary<string, string>
        {
            ["collectionId"] = integrationEvent.CollectionId.ToString(),
            ["documentId"] = integrationEvent.DocumentId.ToString(),
            ["name"] = integrationEvent.Name,
            ["reason"] = integrationEvent.Reason,
        };
        return writer.WriteAsync(
            scope, integrationEvent, integrationEvent.UserId, NotificationKind.DocumentFailed, parameters, quiet: false, cancellationToken);
    }
}
