using Fleet.Auth.Data;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Users;

/// <summary>Checks passwords in constant time, known account or not, and locks an account after too many failures.</summary>
/// <remarks>Failures are counted by single SQL updates, so that guesses made at the same time all count.</remarks>
internal sealed class PasswordCheck(
    AuthDbContext database, IPasswordHasher<FleetUser> hasher, UnknownUserHash unknownUser, TimeProvider time, IOptions<AuthOptions> options)
{
    /// <summary>True only for the right password of an account that exists and is not locked.</summary>
    public async Task<bool> VerifyAsync(FleetUser? user, string password, CancellationToken cancellationToken)
    {
        var hash = user?.PasswordHash ?? unknownUser.Value;
        var verification = hasher.VerifyHashedPassword(user ?? unknownUser.User, hash, password);
        if (user?.PasswordHash is null)
            return false;

        if (verification == PasswordVerificationResult.Failed)
        {
            await CountFailureAsync(user.Id, cancellationToken);
            return false;
        }

        if (!await ForgetFailuresAsync(user.Id, cancellationToken))
            return false;

        if (verification == PasswordVerificationResult.SuccessRehashNeeded)
        {
            var stronger = hasher.HashPassword(user, password);
            await database.Users.Where(row => row.Id == user.Id)
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.PasswordHash, stronger), cancellationToken);
        }

        return true;
    }

    private Task<int> CountFailureAsync(Guid userId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var until = now + options.Value.LockoutTime;
        var limit = options.Value.MaxFailedSignIns;
        return database.Users.Where(row => row.Id == userId && (row.LockoutEnd == null || row.LockoutEnd <= now)).ExecuteUpdateAsync(
            update => update
                .SetProperty(row => row.LockoutEnd, row => row.AccessFailedCount + 1 >= limit ? until : row.LockoutEnd)
                .SetProperty(row => row.AccessFailedCount, row => row.AccessFailedCount + 1 >= limit ? 0 : row.AccessFailedCount + 1),
            cancellationToken);
    }

    // False while the account is locked: then even the right password does not open it.
    private async Task<bool> ForgetFailuresAsync(Guid userId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return await database.Users.Where(row => row.Id == userId && (row.LockoutEnd == null || row.LockoutEnd <= now)).ExecuteUpdateAsync(
            update => update.SetProperty(row => row.LockoutEnd, (DateTimeOffset?)null).SetProperty(row => row.AccessFailedCount, 0),
            cancellationToken) == 1;
    }
}

/// <summary>What the password of an unknown user is compared with: as costly to verify as a real one, and right for nobody.</summary>
internal sealed class UnknownUserHash(IOptions<PasswordHasherOptions> options)
{
    public FleetUser User { get; } = new();

    public string Value { get; } = new PasswordHasher<FleetUser>(options).HashPassword(new FleetUser(), Guid.NewGuid().ToString());
}
