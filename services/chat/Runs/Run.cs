using Fleet.Chat.Sessions;

namespace Fleet.Chat.Runs;

public enum RunStatus
{
    Queued,
    Running,
    Completed,
    Stopped,
    Failed,
}

/// <summary>
/// One assistant turn. It belongs to the conversation, not to the connection that asked; whichever process holds the lease
/// executes it.
/// </summary>
public sealed class Run
{
    public required Guid Id { get; init; }
    public required Guid SessionId { get; init; }
    public required Guid UserId { get; init; }
    public required string TenantId { get; init; }
    public required Guid UserMessageId { get; init; }

    /// <summary>The reply being written.</summary>
    public required Guid MessageId { get; init; }

    /// <summary>chat or websocket.</summary>
    public required string Surface { get; init; }

    public required RunStatus Status { get; set; }

    /// <summary>What knowledge returned, kept so that a resumed run builds the same prompt; null until it was asked.</summary>
    public IReadOnlyList<Citation>? Passages { get; set; }

    /// <summary>Sequence number of the last event when the row was last written.</summary>
    public long LastSeq { get; set; }

    public bool CancelRequested { get; set; }
    public int Attempts { get; set; }

    /// <summary>The process that executes it; null when nobody does.</summary>
    public Guid? Owner { get; set; }

    public DateTimeOffset? LeaseExpiresAt { get; set; }
    public string? IdempotencyKey { get; init; }
    public byte[]? RequestHash { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }

    public bool IsActive => Status is RunStatus.Queued or RunStatus.Running;
}
