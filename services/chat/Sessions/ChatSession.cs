namespace Fleet.Chat.Sessions;

/// <summary>A conversation of one person.</summary>
public sealed class ChatSession
{
    public required Guid Id { get; init; }
    public required Guid UserId { get; init; }

    /// <summary>Null until a person names it or the first message does.</summary>
    public string? Title { get; set; }

    public bool Pinned { get; set; }
    public required SessionConfig Config { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; set; }
    public DateTimeOffset? DeletedAt { get; set; }
}
