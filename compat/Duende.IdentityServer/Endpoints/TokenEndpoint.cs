using System.Security.Claims;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Duende.IdentityServer.Endpoints;

/// <summary>
/// RFC 6749, section 3.2: (1) read the form, (2) authenticate the client, (3) check the grant, (4) issue.
/// </summary>
internal sealed class TokenEndpoint(
    ClientAuthentication authentication, ResourceCatalogue resources, ITokenCreationService tokens, IdentityServerOptions options, TimeProvider time)
{
    public const string Path = "/connect/token";

    private const string RefreshTokenGrant = "refresh_token";
    private const string OfflineAccess = IdentityServerConstants.StandardScopes.OfflineAccess;

    public async Task HandleAsync(HttpContext context)
    {
        var (form, formError) = await ProtocolForm.ReadAsync(context).ConfigureAwait(false);
        if (form is null)
        {
            await formError!.WriteAsync(context).ConfigureAwait(false);
            return;
        }

        var (client, clientError) = await authentication.AuthenticateAsync(context, form).ConfigureAwait(false);
        if (client is null)
        {
            await clientError!.WriteAsync(context).ConfigureAwait(false);
            return;
        }

        var (body, error) = form["grant_type"] switch
        {
            null => (null, new OAuthError("invalid_request", "grant_type is missing.")),
            GrantType.ClientCredentials => await ForClientAsync(context, client, form).ConfigureAwait(false),
            RefreshTokenGrant => await ForRefreshTokenAsync(context, client, form).ConfigureAwait(false),
            _ => (null, new OAuthError("unsupported_grant_type")),
        };
        await (error is not null ? error.WriteAsync(context) : JsonResponse.WriteAsync(context, body!)).ConfigureAwait(false);
    }

    private async Task<(Dictionary<string, object>? Body, OAuthError? Error)> ForClientAsync(HttpContext context, Client client, ProtocolForm form)
    {
        if (!client.AllowedGrantTypes.Contains(GrantType.ClientCredentials) || !client.RequireClientSecret)
            return (null, new OAuthError("unauthorized_client"));

        // Without a user there is no identity to ask for and nothing to refresh (section 4.4.3).
        string[] requested = form["scope"] is { } scope
            ? Split(scope)
            : [.. client.AllowedScopes.Where(resources.IsApiScope)];
        if (requested.Length == 0 || requested.Any(name => !client.AllowedScopes.Contains(name) || !resources.IsApiScope(name)))
            return (null, new OAuthError("invalid_scope"));

        var token = await IssueAsync(context, client, requested, []).ConfigureAwait(false);
        return (BodyOf(token, client, requested), null);
    }

    private async Task<(Dictionary<string, object>? Body, OAuthError? Error)> ForRefreshTokenAsync(HttpContext context, Client client, ProtocolForm form)
    {
        if (!client.AllowOfflineAccess)
            return (null, new OAuthError("unauthorized_client"));
        if (form["refresh_token"] is not { } handle)
            return (null, new OAuthError("invalid_request", "refresh_token is missing."));

        var refreshTokens = context.RequestServices.GetService<IRefreshTokenService>()
            ?? throw new NotSupportedException("No refresh token service is built into this subset of IdentityServer: register an IRefreshTokenService.");
        var profile = ProfileOf(context);

        var validation = await refreshTokens.ValidateRefreshTokenAsync(handle, client).ConfigureAwait(false);
        if (validation is not { IsError: false, RefreshToken: { } refreshToken })
            return (null, new OAuthError("invalid_grant"));

        var active = new IsActiveContext(refreshToken.Subject, client, IdentityServerConstants.ProfileIsActiveCallers.RefreshTokenValidation);
        await profile.IsActiveAsync(active).ConfigureAwait(false);
        if (!active.IsActive)
            return (null, new OAuthError("invalid_grant"));

        // A refresh may narrow the scopes but never widen them (section 6).
        string[] granted = [.. refreshToken.AuthorizedScopes];
        string[] requested = form["scope"] is { } scope ? Split(scope) : granted;
        if (requested.Except(granted).Any())
            return (null, new OAuthError("invalid_scope"));

        var data = new ProfileDataRequestContext(
            refreshToken.Subject, client, IdentityServerConstants.ProfileDataCallers.ClaimsProviderAccessToken, resources.AccessTokenClaimsOf(requested));
        await profile.GetProfileDataAsync(data).ConfigureAwait(false);
        var claims = new List<Claim> { new("sub", refreshToken.SubjectId!) };
        claims.AddRange(data.IssuedClaims.Where(claim => claim.Type != "sub"));
        if (refreshToken.SessionId is { } session)
            claims.Add(new Claim("sid", session));

        var token = await IssueAsync(context, client, requested, claims).ConfigureAwait(false);
        var next = await refreshTokens.UpdateRefreshTokenAsync(
            new RefreshTokenUpdateRequest { Handle = handle, Client = client, RefreshToken = refreshToken }).ConfigureAwait(false);

        var body = BodyOf(token, client, requested);
        body["refresh_token"] = next;
        return (body, null);
    }

    private async Task<string> IssueAsync(HttpContext context, Client client, string[] scopes, IEnumerable<Claim> claims) =>
        await tokens.CreateTokenAsync(new Token
        {
            Issuer = options.IssuerUri ?? $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}",
            CreationTime = time.GetUtcNow().UtcDateTime,
            Lifetime = client.AccessTokenLifetime,
            ClientId = client.ClientId,
            IncludeJwtId = client.IncludeJwtId,
            Audiences = [.. resources.AudiencesOf(scopes)],
            Claims =
            [
                new Claim("client_id", client.ClientId),
                .. scopes.Where(scope => scope != OfflineAccess).Select(scope => new Claim("scope", scope)),
                .. claims,
            ],
        }).ConfigureAwait(false);

    private static Dictionary<string, object> BodyOf(string token, Client client, string[] scopes) => new()
    {
        ["access_token"] = token,
        ["expires_in"] = client.AccessTokenLifetime,
        ["token_type"] = "Bearer",
        ["scope"] = string.Join(' ', scopes),
    };

    private static string[] Split(string scope) => [.. scope.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal)];

    private static IProfileService ProfileOf(HttpContext context) => context.RequestServices.GetService<IProfileService>()
        ?? throw new NotSupportedException("No profile service is built into this subset of IdentityServer: AddProfileService or AddAspNetIdentity.");
}
