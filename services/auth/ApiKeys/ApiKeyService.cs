using Fleet.Auth.Data;
using Fleet.Auth.Events;
using Fleet.Auth.Tokens;
using Fleet.Auth.Users;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Http;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.ApiKeys;

/// <summary>An access token for the owner of a key.</summary>
internal sealed record Exchange(AccessToken Token, Guid KeyId, Guid UserId);

/// <summary>Making, listing, revoking and exchanging API keys.</summary>
internal sealed partial class ApiKeyService(
    AuthDbContext database,
    UserManager<FleetUser> users,
    AccessTokenIssuer accessTokens,
    AuthEvents events,
    TimeProvider time,
    IOptions<AuthOptions> options,
    ILogger<ApiKeyService> logger)
{
    public const string SecretPrefix = "fk_";

    private const int ShownCharacters = 10;

    // Often enough for "last used", seldom enough not to write at every request.
    private static readonly TimeSpan UseIsNotedEvery = TimeSpan.FromMinutes(1);

    /// <summary>The key and its secret, which nobody can tell again; null when the person has too many.</summary>
    public async Task<(ApiKey Key, string Secret)?> CreateAsync(Guid userId, string name, DateTimeOffset? expiresAt, CancellationToken cancellationToken)
    {
        // The lock on the owner's row makes concurrent requests count each other's keys.
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        await database.Database.ExecuteSqlAsync($"SELECT 1 FROM users WHERE id = {userId} FOR UPDATE", cancellationToken);
        if (await database.ApiKeys.CountAsync(row => row.UserId == userId, cancellationToken) >= options.Value.MaxApiKeysPerUser)
            return null;

        var secret = OpaqueToken.Create(SecretPrefix);
        var key = new ApiKey
        {
            Id = Guid.CreateVersion7(),
            UserId = userId,
            Name = name,
            Prefix = secret[..ShownCharacters],
            SecretHash = OpaqueToken.Hash(secret),
            CreatedAt = time.GetUtcNow(),
            ExpiresAt = expiresAt?.ToUniversalTime(),
        };
        database.ApiKeys.Add(key);
        await database.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        Log.Created(logger, key.Id, userId);
        return (key, secret);
    }

    /// <summary>Newest first.</summary>
    public async Task<CursorPage<ApiKey>> ListAsync(Guid userId, int limit, Cursor? after, CancellationToken cancellationToken)
    {
        var query = database.ApiKeys.AsNoTracking().Where(row => row.UserId == userId);
        if (after is { } cursor)
            query = query.Where(row => row.CreatedAt < cursor.Time || (row.CreatedAt == cursor.Time && row.Id.CompareTo(cursor.Id) < 0));

        var rows = await query.OrderByDescending(row => row.CreatedAt).ThenByDescending(row => row.Id).Take(limit + 1).ToListAsync(cancellationToken);
        var next = rows.Count > limit ? new Cursor(rows[limit - 1].CreatedAt, rows[limit - 1].Id).Encode() : null;
        return new CursorPage<ApiKey>([.. rows.Take(limit)], next);
    }

    /// <summary>False when there is no such key of this person.</summary>
    public async Task<bool> RevokeAsync(Guid userId, Guid keyId, CancellationToken cancellationToken)
    {
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        if (await database.ApiKeys.Where(row => row.Id == keyId && row.UserId == userId).ExecuteDeleteAsync(cancellationToken) == 0)
            return false;

        await events.AddAsync(new ApiKeyRevoked { UserId = userId, KeyId = keyId }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        Log.Revoked(logger, keyId, userId);
        return true;
    }

    /// <summary>Null when the key is unknown, expired or revoked.</summary>
    public async Task<Exchange?> ExchangeAsync(string secret, CancellationToken cancellationToken)
    {
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
            return null;

        var now = time.GetUtcNow();
        var hash = OpaqueToken.Hash(secret);
        var key = await database.ApiKeys.AsNoTracking().SingleOrDefaultAsync(row => row.SecretHash == hash, cancellationToken);
        if (key is null || key.ExpiresAt <= now || await users.FindByIdAsync(key.UserId.ToString()) is not { } owner)
            return null;

        if (key.LastUsedAt is null || key.LastUsedAt < now - UseIsNotedEvery)
        {
            await database.ApiKeys.Where(row => row.Id == key.Id)
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.LastUsedAt, now), cancellationToken);
        }

        var lifetime = options.Value.AccessTokenLifetime;
        if (key.ExpiresAt is { } end && end - now < lifetime)
            lifetime = end - now;

        // A token expires in whole seconds; the last fraction of one is not worth issuing.
        return lifetime < TimeSpan.FromSeconds(1)
            ? null
            : new Exchange(await accessTokens.ForApiKeyAsync(owner, key.Id, lifetime), key.Id, owner.Id);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "API key {KeyId} of user {UserId} was created")]
        public static partial void Created(ILogger logger, Guid keyId, Guid userId);

        [LoggerMessage(LogLevel.Information, "API key {KeyId} of user {UserId} was revoked")]
        public static partial void Revoked(ILogger logger, Guid keyId, Guid userId);
    }
}
