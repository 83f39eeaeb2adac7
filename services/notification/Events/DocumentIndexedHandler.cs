using System.Globalization;
using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Notification.Events;

internal sealed class DocumentIndexedHandler(NotificationWriter writer) : IEventHandler<DocumentIndexed>
{
    public Task HandleAsync(DocumentIndexed integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        var parameters = new Dictionary<string, string>
        {
            ["collectionId"] = integrationEvent.CollectionId.ToString(),
            ["documentId"] = integrationEvent.DocumentId.ToString(),
            ["name"] = integrationEvent.Name,
            ["chunks"] = integrationEvent.Chunks.ToString(CultureInfo.InvariantCulture),
        };
        return writer.WriteAsync(
            scope, integrationEvent, integrationEvent.UserId, NotificationKind.DocumentIndexed, parameters, quiet: false, cancellationToken);
    }
}
