using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Auth;

/// <summary>Settings of the auth service. <c>Auth:Issuer</c> is the whole fleet's and lives with token validation.</summary>
public sealed class AuthOptions
{
    public const string SectionName = "Auth";

    /// <summary>How long an access token is valid. Default 15 minutes, which is also the most the fleet's rules allow.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "00:15:00")]
    public TimeSpan AccessTokenLifetime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a sign-in lives without being refreshed. Default 30 days; every refresh starts it anew.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan RefreshTokenLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Failed sign-ins in a row after which an account is locked. Default 5.</summary>
    [Range(1, 100)]
    public int MaxFailedSignIns { get; set; } = 5;

    /// <summary>How long it then stays locked. Default 5 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan LockoutTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>PBKDF2-HMAC-SHA512 rounds of new password hashes. Default 210 000 (OWASP, 2023).</summary>
    [Range(100_000, 10_000_000)]
    public int PasswordIterations { get; set; } = 210_000;

    /// <summary>API keys one person may have. Default 50.</summary>
    [Range(1, 1000)]
    public int MaxApiKeysPerUser { get; set; } = 50;

    /// <summary>
    /// Secret of the fleet's own clients (client credentials), from the environment only. Without it no service gets a token of its own.
    /// </summary>
    [StringLength(256, MinimumLength = 16)]
    public string? ClientSecret { get; set; }

    /// <summary>
    /// Where the first start writes the password of the user <c>admin</c> (mode 600). Without it no administrator is created.
    /// </summary>
    public string? AdministratorPasswordFile { get; set; }

    /// <summary>
    /// A random secret of at least 32 characters from which the key that wraps the data protection keys in the database is derived; from the environment
    /// only. Without it they lie there in the clear and whoever reads the database can sign tokens.
    /// </summary>
    [StringLength(512, MinimumLength = 32)]
    public string? MasterKey { get; set; }
}

[OptionsValidator]
internal sealed partial class AuthOptionsValidator : IValidateOptions<AuthOptions>;
