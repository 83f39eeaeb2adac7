namespace Fleet.Auth.ApiKeys;

/// <summary>A long-lived secret of a person for programs; only its SHA-256 is kept.</summary>
internal sealed class ApiKey
{
    public Guid Id { get; init; }

    public Guid UserId { get; init; }

    public string Name { get; init; } = "";

    /// <summary>The first characters of the secret, for people to tell their keys apart.</summary>
    public string Prefix { get; init; } = "";

    public byte[] SecretHash { get; init; } = [];

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Null: until revoked.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; set; }
}
