using Microsoft.AspNetCore.Identity;

namespace Fleet.Auth.Users;

/// <summary>An account.</summary>
public sealed class FleetUser : IdentityUser<Guid>
{
    /// <summary>How others see this person, in any script; the user name when null.</summary>
    public string? DisplayName { get; set; }

    public string Tenant { get; set; } = "default";

    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>The roles the migrations create.</summary>
internal static class Roles
{
    public const string Administrator = "administrator";
    public const string Member = "member";
}
