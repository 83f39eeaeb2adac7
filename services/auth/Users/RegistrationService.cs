using Fleet.Auth.Data;
using Fleet.Auth.Events;
using Fleet.Contracts.Events;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Fleet.Auth.Users;

internal enum RegistrationOutcome
{
    Registered,
    UserNameTaken,
    EmailTaken,
    PasswordRefused,
}

/// <param name="PasswordFault">Why the password was refused.</param>
internal sealed record Registration(RegistrationOutcome Outcome, FleetUser? User = null, string? PasswordFault = null);

/// <summary>Creates accounts; the account, its role and its event are kept together or not at all.</summary>
internal sealed partial class RegistrationService(
    AuthDbContext database, UserManager<FleetUser> users, AuthEvents events, TimeProvider time, ILogger<RegistrationService> logger)
{
    // Names that look like the fleet itself speaking.
    private static readonly HashSet<string> Reserved = new(
        ["admin", "administrator", "root", "system", "fleet", "support", "security"], StringComparer.OrdinalIgnoreCase);

    public Task<Registration> RegisterAsync(string userName, string email, string password, CancellationToken cancellationToken) =>
        Reserved.Contains(userName)
            ? Task.FromResult(new Registration(RegistrationOutcome.UserNameTaken))
            : CreateAsync(userName, email, password, Roles.Member, cancellationToken);

    /// <summary>Like registration, for the fleet itself: any name, any role.</summary>
    public async Task<Registration> CreateAsync(string userName, string email, string password, string role, CancellationToken cancellationToken)
    {
        if (PasswordRules.FindFault(userName, email, password) is { } fault)
            return new Registration(RegistrationOutcome.PasswordRefused, PasswordFault: fault);

        var user = new FleetUser { Id = Guid.CreateVersion7(), UserName = userName, Email = email, CreatedAt = time.GetUtcNow() };
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        try
        {
            var created = await users.CreateAsync(user, password);
            if (!created.Succeeded)
                return Refused(created);

            await users.AddToRoleAsync(user, role);
            await events.AddAsync(new UserRegistered { UserId = user.Id, UserName = userName }, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (DbUpdateException exception) when (exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } violation)
        {
            // Two registrations at the same moment: the database decides.
            return new Registration(
                violation.ConstraintName == "users_email_unique" ? RegistrationOutcome.EmailTaken : RegistrationOutcome.UserNameTaken);
        }

        Log.Registered(logger, user.Id);
        return new Registration(RegistrationOutcome.Registered, user);
    }

    private static Registration Refused(IdentityResult result)
    {
        var codes = result.Errors.Select(error => error.Code).ToArray();
        if (codes.Contains(nameof(IdentityErrorDescriber.DuplicateUserName)))
            return new Registration(RegistrationOutcome.UserNameTaken);
        if (codes.Contains(nameof(IdentityErrorDescriber.DuplicateEmail)))
            return new Registration(RegistrationOutcome.EmailTaken);

        throw new InvalidOperationException($"Identity refused an account that passed Fleet's own rules: {string.Join(", ", codes)}.");
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "User {UserId} registered")]
        public static partial void Registered(ILogger logger, Guid userId);
    }
}
