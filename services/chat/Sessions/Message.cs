namespace Fleet.Chat.Sessions;

public enum MessageRole
{
    System,
    User,
    Assistant,
}

public enum MessageStatus
{
    Complete,

    /// <summary>A run is writing it; the stored content is at most a checkpoint interval old.</summary>
    Streaming,

    /// <summary>Ended by its reader; the content is what had come by then.</summary>
    Stopped,
    Failed,
}

/// <summary>One turn of a conversation; messages form a tree by <see cref="ParentId"/>.</summary>
public sealed class Message
{
    public required Guid Id { get; init; }
    public required Guid SessionId { get; init; }
    public Guid? ParentId { get; init; }
    public required MessageRole Role { get; init; }
    public required string Content { get; set; }
    public required MessageStatus Status { get; set; }
    public int? PromptTokens { get; set; }
    public int? CachedTokens { get; set; }
    public int? CompletionTokens { get; set; }
    public double? ProcessingTimeMs { get; set; }
    public double? TimeToFirstTokenMs { get; set; }

    /// <summary>The model that answered, after defaults.</summary>
    public string? Model { get; set; }

    /// <summary>stop, length or cancelled; null while streaming and when failed.</summary>
    public string? FinishReason { get; set; }

    /// <summary>The configuration the reply was asked with, frozen when its run opened.</summary>
    public SessionConfig? Parameters { get; init; }

    /// <summary>Passages the text really cites.</summary>
    public IReadOnlyList<Citation>? Citations { get; set; }

    /// <summary>What the reader should know about how the reply came about (what was cut, what was unavailable).</summary>
    public IReadOnlyList<Notice>? Notices { get; set; }

    public MessageError? Error { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <param name="Number">The [n] in the text.</param>
/// <param name="Page">1-based; 0 where the format has no pages.</param>
/// <param name="Start">UTF-16 offset in the document's extracted text.</param>
public sealed record Citation(int Number, string DocumentId, string ChunkId, string CollectionId, string Title,
    int Page, int Start, int End, string Text, double Score);

/// <param name="Code">Stable, kebab-case: history-truncated, passages-truncated, knowledge-unavailable, resumed, …</param>
/// <param name="Text">A sentence for a person.</param>
/// <param name="Count">How many messages or passages it is about, where that makes sense.</param>
public sealed record Notice(string Code, string Text, int? Count = null);

/// <param name="Type">Stable error type, e.g. model-unavailable, timeout.</param>
/// <param name="Title">A sentence for a person.</param>
/// <param name="RetryAfterMs">When trying again makes sense; null when unknown.</param>
public sealed record MessageError(string Type, string Title, int? RetryAfterMs = null);
