namespace Fleet.Contracts.Events;

/// <summary>An account was created. Published by auth.</summary>
public sealed record UserRegistered : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required string UserName { get; init; }
}

/// <summary>A person signed in with a password or another factor. Published by auth.</summary>
public sealed record UserSignedIn : IntegrationEvent
{
    public required Guid UserId { get; init; }

    /// <summary>password, refresh, external, passkey.</summary>
    public required string Method { get; init; }
}

/// <summary>An account was erased: every service deletes what it holds of this user. Published by auth.</summary>
public sealed record UserErased : IntegrationEvent
{
    public required Guid UserId { get; init; }
}

/// <summary>An API key is void from now on; caches drop it at once. Published by auth.</summary>
public sealed record ApiKeyRevoked : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required Guid KeyId { get; init; }
}

/// <summary>A budget has passed its warning threshold. Published by auth.</summary>
public sealed record QuotaNearlyUsed : IntegrationEvent
{
    public required Guid UserId { get; init; }
    public required string Quota { get; init; }
    public required long Used { get; init; }
    public required long Limit { get; init; }
}
