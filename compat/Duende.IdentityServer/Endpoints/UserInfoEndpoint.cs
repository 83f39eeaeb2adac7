using System.Net.Http.Headers;
using System.Security.Claims;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Duende.IdentityServer.Stores;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Duende.IdentityServer.Endpoints;

/// <summary>OpenID Connect Core, section 5.3; errors as RFC 6750, section 3.</summary>
internal sealed class UserInfoEndpoint(AccessTokenReader reader, ResourceCatalogue resources, IClientStore clients, IdentityServerOptions options)
{
    public const string Path = "/connect/userinfo";

    public async Task HandleAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            context.Response.Headers.Allow = "GET, POST";
            return;
        }

        if (!AuthenticationHeaderValue.TryParse(context.Request.Headers.Authorization, out var header)
            || !"Bearer".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase)
            || string.IsNullOrEmpty(header.Parameter))
        {
            Challenge(context, StatusCodes.Status401Unauthorized, error: null);
            return;
        }

        var issuer = options.IssuerUri ?? $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}";
        var token = await reader.ReadAsync(header.Parameter, issuer).ConfigureAwait(false);
        if (token is null || !token.TryGetClaim("sub", out var subject))
        {
            Challenge(context, StatusCodes.Status401Unauthorized, "invalid_token");
            return;
        }

        var scopes = AccessTokenReader.ScopesOf(token);
        if (!scopes.Contains(IdentityServerConstants.StandardScopes.OpenId))
        {
            Challenge(context, StatusCodes.Status403Forbidden, "insufficient_scope");
            return;
        }

        var profile = context.RequestServices.GetService<IProfileService>()
            ?? throw new NotSupportedException("No profile service is built into this subset of IdentityServer: AddProfileService or AddAspNetIdentity.");
        var client = token.TryGetClaim("client_id", out var clientId) ? await clients.FindClientByIdAsync(clientId.Value).ConfigureAwait(false) : null;
        var principal = new ClaimsPrincipal(new ClaimsIdentity(token.Claims, "UserInfo", "name", "role"));
        var active = new IsActiveContext(principal, client!, IdentityServerConstants.ProfileIsActiveCallers.UserInfoRequestValidation);
        await profile.IsActiveAsync(active).ConfigureAwait(false);
        if (!active.IsActive)
        {
            Challenge(context, StatusCodes.Status401Unauthorized, "invalid_token");
            return;
        }

        var data = new ProfileDataRequestContext(
            principal, client!, IdentityServerConstants.ProfileDataCallers.UserInfoEndpoint, resources.UserInfoClaimsOf(scopes));
        await profile.GetProfileDataAsync(data).ConfigureAwait(false);
        var body = data.IssuedClaims
            .Where(claim => claim.Type != "sub")
            .GroupBy(claim => claim.Type, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, object (group) => group.ToArray() is [var only] ? only.Value : group.Select(claim => claim.Value).ToArray());
        body["sub"] = subject.Value;
        await JsonResponse.WriteAsync(context, body).ConfigureAwait(false);
    }

    private static void Challenge(HttpContext context, int status, string? error)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.WWWAuthenticate = error is null ? "Bearer" : $"Bearer error=\"{error}\"";
    }
}
