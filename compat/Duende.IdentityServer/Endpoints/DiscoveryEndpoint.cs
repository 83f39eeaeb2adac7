using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Services;
using Microsoft.AspNetCore.Http;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Endpoints;

/// <summary>OpenID provider metadata and keys; only what is really offered is named.</summary>
internal sealed class DiscoveryEndpoint(IdentityServerOptions options, KeyMaterial keys, ResourceCatalogue resources)
{
    public const string DocumentPath = "/.well-known/openid-configuration";
    public const string KeysPath = "/.well-known/openid-configuration/jwks";

    public async Task DocumentAsync(HttpContext context)
    {
        if (!IsRead(context))
            return;

        var address = $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}";
        var document = new Dictionary<string, object>
        {
            ["issuer"] = options.IssuerUri ?? address,
            ["jwks_uri"] = address + KeysPath,
        };
        if (options.Endpoints.EnableTokenEndpoint)
        {
            document["token_endpoint"] = address + TokenEndpoint.Path;
            document["grant_types_supported"] = new[] { "client_credentials", "refresh_token" };
            document["token_endpoint_auth_methods_supported"] = new[] { "client_secret_basic", "client_secret_post" };
        }

        if (options.Endpoints.EnableUserInfoEndpoint)
            document["userinfo_endpoint"] = address + UserInfoEndpoint.Path;
        if (options.Endpoints.EnableTokenRevocationEndpoint)
            document["revocation_endpoint"] = address + RevocationEndpoint.Path;

        document["scopes_supported"] = resources.Identities.Where(identity => identity.ShowInDiscoveryDocument).Select(identity => identity.Name)
            .Concat(resources.Scopes.Where(scope => scope.ShowInDiscoveryDocument).Select(scope => scope.Name))
            .Append("offline_access")
            .ToArray();
        document["claims_supported"] = resources.Identities.SelectMany(identity => identity.UserClaims).Distinct().ToArray();
        document["response_types_supported"] = Array.Empty<string>();
        document["subject_types_supported"] = new[] { "public" };
        document["id_token_signing_alg_values_supported"] =
            (await keys.ValidationAsync().ConfigureAwait(false)).Select(key => key.SigningAlgorithm).Distinct().ToArray();
        await context.Response.WriteAsJsonAsync(document, context.RequestAborted).ConfigureAwait(false);
    }

    public async Task KeysAsync(HttpContext context)
    {
        if (!IsRead(context))
            return;

        var published = (await keys.ValidationAsync().ConfigureAwait(false)).Select(info => Published(info.Key, info.SigningAlgorithm)).ToArray();
        await context.Response.WriteAsJsonAsync(new { keys = published }, context.RequestAborted).ConfigureAwait(false);
    }

    private static bool IsRead(HttpContext context)
    {
        if (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method))
            return true;

        context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
        context.Response.Headers.Allow = "GET";
        return false;
    }

    // RFC 7517 and 7518, section 6.2: public parameters only.
    private static Dictionary<string, string> Published(SecurityKey key, string algorithm)
    {
        if (key is not ECDsaSecurityKey ec)
            throw new NotSupportedException($"Keys of type {key.GetType().Name} are not offered by this subset of IdentityServer, only ECDsaSecurityKey.");

        var parameters = ec.ECDsa.ExportParameters(includePrivateParameters: false);
        return new Dictionary<string, string>
        {
            ["kty"] = "EC",
            ["use"] = "sig",
            ["kid"] = ec.KeyId,
            ["alg"] = algorithm,
            ["crv"] = ec.KeySize switch
            {
                256 => "P-256",
                384 => "P-384",
                521 => "P-521",
                var size => throw new NotSupportedException($"No JSON Web Key curve has {size} bits."),
            },
            ["x"] = Base64UrlEncoder.Encode(parameters.Q.X),
            ["y"] = Base64UrlEncoder.Encode(parameters.Q.Y),
        };
    }
}
