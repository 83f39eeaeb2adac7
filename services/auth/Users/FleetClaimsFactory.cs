using System.Security.Claims;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Users;

/// <summary>A user's claims, the same in every token whichever way it was asked for.</summary>
internal sealed class FleetClaimsFactory(
    UserManager<FleetUser> users, RoleManager<IdentityRole<Guid>> roles, IOptions<IdentityOptions> options)
    : UserClaimsPrincipalFactory<FleetUser, IdentityRole<Guid>>(users, roles, options)
{
    protected override async Task<ClaimsIdentity> GenerateClaimsAsync(FleetUser user)
    {
        var identity = await base.GenerateClaimsAsync(user);
        identity.AddClaim(new Claim(FleetClaims.Tenant, user.Tenant));
        identity.AddClaim(new Claim("preferred_username", user.UserName!));
        return identity;
    }
}
