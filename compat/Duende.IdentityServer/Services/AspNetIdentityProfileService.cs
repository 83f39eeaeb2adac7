using System.Security.Claims;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Microsoft.AspNetCore.Identity;

namespace Duende.IdentityServer.AspNetIdentity;

/// <summary>The profile service over a <see cref="UserManager{TUser}"/>; applications derive from it to add claims.</summary>
public class ProfileService<TUser>(UserManager<TUser> userManager, IUserClaimsPrincipalFactory<TUser> claimsFactory) : IProfileService
    where TUser : class
{
    protected UserManager<TUser> UserManager { get; } = userManager;

    protected IUserClaimsPrincipalFactory<TUser> ClaimsFactory { get; } = claimsFactory;

    public virtual async Task GetProfileDataAsync(ProfileDataRequestContext context)
    {
        if (await FindUserAsync(SubjectOf(context.Subject)) is not { } user)
            return;

        var principal = await ClaimsFactory.CreateAsync(user);
        context.IssuedClaims.AddRange(principal.Claims.Where(claim => context.RequestedClaimTypes.Contains(claim.Type)));
    }

    public virtual async Task IsActiveAsync(IsActiveContext context) =>
        context.IsActive = await FindUserAsync(SubjectOf(context.Subject)) is { } user && await IsUserActiveAsync(user);

    public virtual Task<bool> IsUserActiveAsync(TUser user) => Task.FromResult(true);

    protected virtual async Task<TUser?> FindUserAsync(string subjectId) => await UserManager.FindByIdAsync(subjectId);

    private static string SubjectOf(ClaimsPrincipal subject) =>
        subject.FindFirst("sub")?.Value ?? throw new InvalidOperationException("The subject has no sub claim.");
}
