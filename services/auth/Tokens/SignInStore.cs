using Fleet.Auth.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Tokens;

/// <summary>Sign-ins and their refresh tokens. The row of the sign-in is locked while one of its tokens is used, so that two users of the same token meet.</summary>
internal sealed class SignInStore(AuthDbContext database, TimeProvider time, IOptions<AuthOptions> options)
{
    private const string Prefix = "fr_";

    // A sign-in that ended is kept this long for the list of past sign-ins and to notice reuse.
    private static readonly TimeSpan KeptAfterEnd = TimeSpan.FromDays(7);

    /// <summary>A new family with its first token, in the caller's transaction.</summary>
    public async Task<(SignIn SignIn, string RefreshToken)> StartAsync(Guid userId, string clientId, string? userAgent, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await database.SignIns.Where(row => row.UserId == userId && row.ExpiresAt < now - KeptAfterEnd).ExecuteDeleteAsync(cancellationToken);
        var signIn = new SignIn
        {
            Id = Guid.CreateVersion7(),
            UserId = userId,
            ClientId = clientId,
            UserAgent = userAgent,
            CreatedAt = now,
            LastUsedAt = now,
            ExpiresAt = now + options.Value.RefreshTokenLifetime,
        };
        database.SignIns.Add(signIn);
        var token = Add(signIn, now);
        await database.SaveChangesAsync(cancellationToken);
        return (signIn, token);
    }

    /// <summary>
    /// Exchanges a token for its successor, in the caller's transaction. Null when it is unknown or over, and also when it had been used
    /// before: then two parties hold it, one of them a thief, and the family ends (the caller commits that).
    /// </summary>
    public async Task<(SignIn SignIn, string RefreshToken)?> RotateAsync(string refreshToken, CancellationToken cancellationToken)
    {
        var hash = OpaqueToken.Hash(refreshToken);
        if (await LockAsync(hash, cancellationToken) is not { } signIn)
            return null;

        var now = time.GetUtcNow();
        var presented = await database.RefreshTokens.SingleAsync(row => row.TokenHash == hash, cancellationToken);
        if (presented.ConsumedAt is not null)
        {
            signIn.Revoke(now, "reused");
            await database.SaveChangesAsync(cancellationToken);
            return null;
        }

        if (!signIn.IsAlive(now))
            return null;

        presented.ConsumedAt = now;
        signIn.LastUsedAt = now;
        signIn.ExpiresAt = now + options.Value.RefreshTokenLifetime;
        var successor = Add(signIn, now);
        await database.SaveChangesAsync(cancellationToken);
        return (signIn, successor);
    }

    public Task<SignIn?> FindAsync(string refreshToken, CancellationToken cancellationToken)
    {
        var hash = OpaqueToken.Hash(refreshToken);
        return database.RefreshTokens.Where(token => token.TokenHash == hash && token.ConsumedAt == null)
            .Join(database.SignIns, token => token.SignInId, signIn => signIn.Id, (_, signIn) => signIn)
            .AsNoTracking()
            .SingleOrDefaultAsync(cancellationToken);
    }

    /// <summary>Ends the family of a token, whichever of its tokens it is; an unknown one is no error.</summary>
    public Task EndAsync(string refreshToken, CancellationToken cancellationToken)
    {
        var hash = OpaqueToken.Hash(refreshToken);
        return EndAsync(
            database.SignIns.Where(row => database.RefreshTokens.Any(token => token.TokenHash == hash && token.SignInId == row.Id)), cancellationToken);
    }

    /// <summary>False when there is no such sign-in of this person that is still alive.</summary>
    public async Task<bool> EndAsync(Guid userId, Guid signInId, CancellationToken cancellationToken) =>
        await EndAsync(database.SignIns.Where(row => row.Id == signInId && row.UserId == userId), cancellationToken) > 0;

    /// <summary>The sign-ins that are alive, newest first.</summary>
    public Task<List<SignIn>> ListAsync(Guid userId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return database.SignIns.AsNoTracking()
            .Where(row => row.UserId == userId && row.RevokedAt == null && row.ExpiresAt > now)
            .OrderByDescending(row => row.CreatedAt).ThenByDescending(row => row.Id)
            .Take(200)
            .ToListAsync(cancellationToken);
    }

    private Task<int> EndAsync(IQueryable<SignIn> rows, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return rows.Where(row => row.RevokedAt == null && row.ExpiresAt > now).ExecuteUpdateAsync(
            update => update.SetProperty(row => row.RevokedAt, now).SetProperty(row => row.RevokeReason, "signed-out"), cancellationToken);
    }

    // FOR UPDATE must not be composed over, hence the list.
    private async Task<SignIn?> LockAsync(byte[] hash, CancellationToken cancellationToken) => (await database.SignIns
        .FromSql($"SELECT s.* FROM sign_ins s JOIN refresh_tokens t ON t.sign_in_id = s.id WHERE t.token_hash = {hash} FOR UPDATE OF s")
        .ToListAsync(cancellationToken)).SingleOrDefault();

    private string Add(SignIn signIn, DateTimeOffset now)
    {
        var token = OpaqueToken.Create(Prefix);
        database.RefreshTokens.Add(new RefreshTokenRow { TokenHash = OpaqueToken.Hash(token), SignInId = signIn.Id, CreatedAt = now });
        return token;
    }
}
