namespace Fleet.Auth.Tokens;

/// <summary>A person's sign-in on one device: a family of refresh tokens that lives and dies together.</summary>
internal sealed class SignIn
{
    /// <summary>The <c>sid</c> claim of its access tokens.</summary>
    public Guid Id { get; init; }

    public Guid UserId { get; init; }

    public string ClientId { get; init; } = "";

    public string? UserAgent { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset LastUsedAt { get; set; }

    public DateTimeOffset ExpiresAt { get; set; }

    public DateTimeOffset? RevokedAt { get; set; }

    /// <summary>signed-out, reused (a consumed refresh token came back).</summary>
    public string? RevokeReason { get; set; }

    public bool IsAlive(DateTimeOffset now) => RevokedAt is null && ExpiresAt > now;

    public void Revoke(DateTimeOffset now, string reason)
    {
        RevokedAt ??= now;
        RevokeReason ??= reason;
    }
}

/// <summary>One refresh token; only its SHA-256 is kept.</summary>
internal sealed class RefreshTokenRow
{
    public byte[] TokenHash { get; init; } = [];

    public Guid SignInId { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ConsumedAt { get; set; }
}
