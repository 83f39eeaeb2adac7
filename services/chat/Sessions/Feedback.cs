namespace Fleet.Chat.Sessions;

/// <summary>A person's judgement of a reply; the latest one counts.</summary>
public sealed class Feedback
{
    public required Guid MessageId { get; init; }
    public required Guid UserId { get; init; }

    /// <summary>up or down.</summary>
    public required string Rating { get; set; }

    public required IReadOnlyList<string> Reasons { get; set; }
    public string? Comment { get; set; }
    public required DateTimeOffset UpdatedAt { get; set; }
}
