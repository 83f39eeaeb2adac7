using Duende.IdentityServer.Models;

namespace Duende.IdentityServer.Configuration;

/// <summary>What the original would do and this subset does not: said at the start, by name, never silently skipped.</summary>
internal static class Unsupported
{
    // Grant types of the original's own. Any other name is an extension grant, which needs a validator that nobody can register here.
    private static readonly string[] GrantTypes =
        ["authorization_code", "implicit", "hybrid", "password", "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba"];

    public static void Check(IdentityServerOptions options)
    {
        Refuse(options.Endpoints.EnableAuthorizeEndpoint, nameof(EndpointsOptions.EnableAuthorizeEndpoint));
        Refuse(options.Endpoints.EnableEndSessionEndpoint, nameof(EndpointsOptions.EnableEndSessionEndpoint));
        Refuse(options.Endpoints.EnableCheckSessionEndpoint, nameof(EndpointsOptions.EnableCheckSessionEndpoint));
        Refuse(options.Endpoints.EnableIntrospectionEndpoint, nameof(EndpointsOptions.EnableIntrospectionEndpoint));
        Refuse(options.Endpoints.EnableDeviceAuthorizationEndpoint, nameof(EndpointsOptions.EnableDeviceAuthorizationEndpoint));
        Refuse(options.Endpoints.EnableBackchannelAuthenticationEndpoint, nameof(EndpointsOptions.EnableBackchannelAuthenticationEndpoint));
        Refuse(options.Endpoints.EnablePushedAuthorizationEndpoint, nameof(EndpointsOptions.EnablePushedAuthorizationEndpoint));
        Refuse(options.KeyManagement.Enabled, $"{nameof(IdentityServerOptions.KeyManagement)}.{nameof(KeyManagementOptions.Enabled)}");
    }

    public static void Check(Client client)
    {
        if (client.AllowedGrantTypes.FirstOrDefault(GrantTypes.Contains) is { } grantType)
            throw new NotSupportedException($"Client '{client.ClientId}': the grant type '{grantType}' is not offered by this subset of IdentityServer.");

        if (client is { AllowOfflineAccess: true, UpdateAccessTokenClaimsOnRefresh: false })
            throw new NotSupportedException($"Client '{client.ClientId}': UpdateAccessTokenClaimsOnRefresh = false is not offered by this subset of IdentityServer.");
    }

    private static void Refuse(bool enabled, string name)
    {
        if (enabled)
            throw new NotSupportedException($"IdentityServerOptions: {name} is not offered by this subset of IdentityServer; set it to false.");
    }
}
