namespace Fleet.Contracts.Events;

/// <summary>A person's message was stored and a run opened for its reply. Published by chat.</summary>
public sealed record ChatMessageReceived : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid SessionId { get; init; }
    public required Guid MessageId { get; init; }
    public required Guid RunId { get; init; }

    /// <summary>Length of the message in UTF-16 code units.</summary>
    public required int Characters { get; init; }
}

/// <summary>A run ended with a stored reply, finished or stopped by its reader. Published by chat, once per run.</summary>
public sealed record ReplyCompleted : IntegrationEvent
{
    public required Guid UserId { get; init; }

    /// <summary>Null for plain generation and API calls that keep no conversation.</summary>
    public Guid? SessionId { get; init; }

    public Guid? MessageId { get; init; }
    public required Guid RunId { get; init; }

    /// <summary>The model that answered.</summary>
    public required string Model { get; init; }

    public required int PromptTokens { get; init; }
    public int CachedTokens { get; init; }
    public required int CompletionTokens { get; init; }

    /// <summary>stop, length or cancelled.</summary>
    public required string FinishReason { get; init; }

    /// <summary>From the stored question to the stored reply.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>From the stored question to the first token; null when none came.</summary>
    public TimeSpan? TimeToFirstToken { get; init; }

    /// <summary>Passages cited by the reply.</summary>
    public int Citations { get; init; }

    /// <summary>Which surface asked: chat, websocket, openai or generate.</summary>
    public string Surface { get; init; } = "chat";
}

/// <summary>A run ended without a usable reply. What was generated until then is counted. Published by chat, once per run.</summary>
public sealed record ReplyFailed : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public Guid? SessionId { get; init; }
    public Guid? MessageId { get; init; }
    public required Guid RunId { get; init; }
    public required string Model { get; init; }

    /// <summary>Stable error type, e.g. model-unavailable, timeout.</summary>
    public required string ErrorType { get; init; }

    public int PromptTokens { get; init; }
    public int CompletionTokens { get; init; }
    public required TimeSpan Duration { get; init; }
}

/// <summary>A person judged a reply; a later judgement of the same person on the same message replaces this one. Published by chat.</summary>
public sealed record FeedbackGiven : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid MessageId { get; init; }
    public required string Model { get; init; }

    /// <summary>up or down.</summary>
    public required string Rating { get; init; }
}

/// <summary>A guardrail rule acted on text. Published by chat.</summary>
public sealed record GuardrailTriggered : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid RunId { get; init; }
    public required string Rule { get; init; }

    /// <summary>block, mask, warn or log.</summary>
    public required string Action { get; init; }

    /// <summary>input, output, passage or tool.</summary>
    public required string Stage { get; init; }
}
