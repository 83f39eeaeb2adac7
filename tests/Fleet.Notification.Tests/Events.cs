using Fleet.Contracts.Events;

namespace Fleet.Notification.Tests;

internal static class Events
{
    public static ReplyCompleted Completed(Guid user, Guid? session = null) => new()
    {
        UserId = user,
        SessionId = session ?? Guid.CreateVersion7(),
        MessageId = Guid.CreateVersion7(),
        RunId = Guid.CreateVersion7(),
        Model = "small",
        PromptTokens = 1,
        CompletionTokens = 7,
        FinishReason = "stop",
        Duration = TimeSpan.FromSeconds(1),
    };

    public static DocumentIndexed Indexed(Guid user, string name = "보고서.md") => new()
    {
        UserId = user,
        CollectionId = Guid.CreateVersion7(),
        DocumentId = Guid.CreateVersion7(),
        Name = name,
        Chunks = 12,
        Duration = TimeSpan.FromSeconds(1),
    };

    public static DocumentFailed Failed(Guid user, string reason) => new()
    {
        UserId = user,
        CollectionId = Guid.CreateVersion7(),
        DocumentId = Guid.CreateVersion7(),
        Name = "a.txt",
        Reason = reason,
    };
}
