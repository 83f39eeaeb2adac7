using System.Security.Claims;

namespace Fleet.ServiceDefaults.Security;

public static class PrincipalExtensions
{
    /// <summary>The signed-in person's id.</summary>
    /// <exception cref="InvalidOperationException">The endpoint forgot <see cref="FleetPolicies.User"/>.</exception>
    public static Guid UserId(this ClaimsPrincipal principal) => principal.TryGetUserId(out var id)
        ? id
        : throw new InvalidOperationException("The caller is not a person: require FleetPolicies.User on this endpoint.");

    public static bool TryGetUserId(this ClaimsPrincipal principal, out Guid id) =>
        Guid.TryParse(principal.FindFirstValue(FleetClaims.Subject), out id);

    public static string TenantId(this ClaimsPrincipal principal) => principal.FindFirstValue(FleetClaims.Tenant) ?? "default";

    public static bool IsAdministrator(this ClaimsPrincipal principal) => principal.IsInRole(FleetClaims.AdministratorRole);

    internal static bool HasScope(this ClaimsPrincipal principal, string scope) =>
        principal.FindAll(FleetClaims.Scope).Any(claim => claim.Value.Split(' ').Contains(scope, StringComparer.Ordinal));
}
