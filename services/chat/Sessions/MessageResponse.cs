namespace Fleet.Chat.Sessions;

/// <summary>A message as every view shows it: lists, the <c>done</c> event, <c>ai_complete</c>.</summary>
internal sealed record MessageResponse(Guid Id, Guid SessionId, Guid? ParentId, MessageRole Role, string Content, MessageStatus Status,
    TokenCounts? TokenCounts, double? ProcessingTimeMs, double? TimeToFirstTokenMs, string? Model, string? FinishReason,
    SessionConfig? Parameters, IReadOnlyList<Citation> Citations, IReadOnlyList<Notice> Notices, MessageError? Error,
    DateTimeOffset CreatedAt)
{
    public static MessageResponse Of(Message message) => new(
        message.Id, message.SessionId, message.ParentId, message.Role, message.Content, message.Status,
        message.CompletionTokens is null && message.PromptTokens is null
            ? null
            : new TokenCounts(message.PromptTokens ?? 0, message.CachedTokens ?? 0, message.CompletionTokens ?? 0),
        message.ProcessingTimeMs, message.TimeToFirstTokenMs, message.Model, message.FinishReason, message.Parameters,
        message.Citations ?? [], message.Notices ?? [], message.Error, message.CreatedAt);
}

internal sealed record TokenCounts(int Prompt, int Cached, int Completion)
{
    public int Total => Prompt + Completion;
}
