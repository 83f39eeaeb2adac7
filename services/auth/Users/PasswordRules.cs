using Microsoft.AspNetCore.Identity;

namespace Fleet.Auth.Users;

/// <summary>
/// Length over character classes (NIST SP 800-63B): what everybody uses, what the account is called and what repeats itself is refused.
/// </summary>
internal sealed class PasswordRules : IPasswordValidator<FleetUser>
{
    public const int MinLength = 10;
    public const int MaxLength = 128;

    private const int MinDifferentCharacters = 4;

    private static readonly Lazy<HashSet<string>> Common = new(ReadCommon);

    public Task<IdentityResult> ValidateAsync(UserManager<FleetUser> manager, FleetUser user, string? password) =>
        Task.FromResult(FindFault(user.UserName, user.Email, password ?? "") is { } fault
            ? IdentityResult.Failed(new IdentityError { Code = "PasswordTooWeak", Description = fault })
            : IdentityResult.Success);

    /// <summary>Why the password may not be used, for the person who chose it; null when it may.</summary>
    public static string? FindFault(string? userName, string? email, string password)
    {
        if (password.Length < MinLength)
            return $"The password needs at least {MinLength} characters.";
        if (password.Length > MaxLength)
            return $"The password may have at most {MaxLength} characters.";
        if (IsSame(password, userName) || IsSame(password, email) || IsSame(password, email?.Split('@')[0]))
            return "The password may not be the user name or the e-mail address.";
        if (password.Distinct().Count() < MinDifferentCharacters)
            return "The password repeats too few characters.";

        return Common.Value.Contains(password) ? "The password is among the most used ones." : null;
    }

    private static bool IsSame(string password, string? other) => string.Equals(password, other, StringComparison.OrdinalIgnoreCase);

    private static HashSet<string> ReadCommon()
    {
        using var stream = typeof(PasswordRules).Assembly.GetManifestResourceStream("Fleet.Auth.Users.CommonPasswords.txt")
            ?? throw new InvalidOperationException("The list of common passwords is not embedded.");
        using var reader = new StreamReader(stream);
        return new HashSet<string>(reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries), StringComparer.OrdinalIgnoreCase);
    }
}
