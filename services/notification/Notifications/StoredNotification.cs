namespace Fleet.Notification.Notifications;

/// <param name="Parameters">What the text needs: names, ids and counts; never prompts or answers.</param>
/// <param name="Quiet">Listed and streamed, but not counted as unread.</param>
internal sealed record StoredNotification(
    Guid Id, string Kind, IReadOnlyDictionary<string, string> Parameters, bool Quiet, DateTimeOffset CreatedAt, DateTimeOffset? ReadAt);

/// <summary>Who is reading: their own notifications and, for administrators, those about operations.</summary>
internal readonly record struct Reader(Guid UserId, bool IsAdministrator);
