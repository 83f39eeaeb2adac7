namespace Fleet.Notification.Notifications;

/// <summary>Stable names; clients render their own text by them.</summary>
internal static class NotificationKind
{
    public const string ReplyCompleted = "reply.completed";
    public const string ReplyFailed = "reply.failed";
    public const string DocumentIndexed = "document.indexed";
    public const string DocumentFailed = "document.failed";
    public const string Welcome = "user.welcome";
    public const string ModelFailed = "model.failed";
    public const string Alert = "alert.raised";
}
