using System.Security.Claims;
using Duende.IdentityServer;
using Fleet.Auth.Users;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Tokens;

internal sealed record AccessToken(string Value, int ExpiresIn);

/// <summary>Issues the access tokens of people (RFC 9068): who they are, which roles they have and which sign-in or key it was.</summary>
internal sealed class AccessTokenIssuer(
    IIdentityServerTools tools, IUserClaimsPrincipalFactory<FleetUser> principals, IOptions<AuthOptions> options, IOptions<FleetAuthenticationOptions> fleet)
{
    public Task<AccessToken> ForSignInAsync(FleetUser user, SignIn signIn) => IssueAsync(
        user, options.Value.AccessTokenLifetime, [new Claim("sid", signIn.Id.ToString()), new Claim("client_id", signIn.ClientId)]);

    /// <param name="lifetime">Not longer than the key itself has left.</param>
    public Task<AccessToken> ForApiKeyAsync(FleetUser user, Guid keyId, TimeSpan lifetime) => IssueAsync(
        user, lifetime, [new Claim(AuthClaims.ApiKey, keyId.ToString()), new Claim("client_id", FleetClients.ApiKey)]);

    private async Task<AccessToken> IssueAsync(FleetUser user, TimeSpan lifetime, IEnumerable<Claim> context)
    {
        var principal = await principals.CreateAsync(user);
        var seconds = (int)lifetime.TotalSeconds;
        var token = await tools.IssueJwtAsync(
            seconds,
            fleet.Value.Issuer,
            [
                .. principal.Claims.Where(claim => AuthClaims.OfUsers.Contains(claim.Type)),
                .. FleetClients.ScopesOfPeople.Select(scope => new Claim(FleetClaims.Scope, scope)),
                .. context,
                new Claim("aud", FleetClaims.Audience),
                new Claim("jti", Guid.CreateVersion7().ToString()),
            ]);
        return new AccessToken(token, seconds);
    }
}

internal static class AuthClaims
{
    /// <summary>The id of the API key that a token was exchanged for; such a token may not manage the account.</summary>
    public const string ApiKey = "api_key";

    public static readonly string[] OfUsers = [FleetClaims.Subject, FleetClaims.Name, FleetClaims.Role, FleetClaims.Tenant];
}
