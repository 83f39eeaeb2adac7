using Fleet.Auth.Data;
using Fleet.Auth.Events;
using Fleet.Auth.Users;
using Fleet.Contracts.Events;
using Microsoft.AspNetCore.Identity;

namespace Fleet.Auth.Tokens;

internal sealed record TokenPair(AccessToken AccessToken, string RefreshToken);

/// <summary>Signing in with a password and staying signed in.</summary>
internal sealed partial class SignInService(
    AuthDbContext database,
    UserManager<FleetUser> users,
    PasswordCheck passwords,
    SignInStore signIns,
    AccessTokenIssuer accessTokens,
    AuthEvents events,
    ILogger<SignInService> logger)
{
    /// <summary>
    /// Null when name and password do not belong together or the account is locked; which of them, nobody learns, nor from the time it takes.
    /// </summary>
    public async Task<TokenPair?> SignInAsync(string name, string password, string? userAgent, CancellationToken cancellationToken)
    {
        var user = name.Contains('@', StringComparison.Ordinal) ? await users.FindByEmailAsync(name) : await users.FindByNameAsync(name);
        if (!await passwords.VerifyAsync(user, password, cancellationToken))
            return null;

        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        var (signIn, refreshToken) = await signIns.StartAsync(user!.Id, FleetClients.FirstParty, userAgent, cancellationToken);
        await events.AddAsync(new UserSignedIn { UserId = user.Id, Method = "password" }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        Log.SignedIn(logger, user.Id, signIn.Id);
        return new TokenPair(await accessTokens.ForSignInAsync(user, signIn), refreshToken);
    }

    /// <summary>Null when the token is unknown, over, or had been used before (then its sign-in is over too).</summary>
    public async Task<TokenPair?> RefreshAsync(string refreshToken, CancellationToken cancellationToken)
    {
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        var rotation = await signIns.RotateAsync(refreshToken, cancellationToken);
        if (rotation is { } rotated)
            await events.AddAsync(new UserSignedIn { UserId = rotated.SignIn.UserId, Method = "refresh" }, cancellationToken);

        await transaction.CommitAsync(cancellationToken);
        if (rotation is not { } next || await users.FindByIdAsync(next.SignIn.UserId.ToString()) is not { } user)
            return null;

        return new TokenPair(await accessTokens.ForSignInAsync(user, next.SignIn), next.RefreshToken);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "User {UserId} signed in ({SignInId})")]
        public static partial void SignedIn(ILogger logger, Guid userId, Guid signInId);
    }
}
