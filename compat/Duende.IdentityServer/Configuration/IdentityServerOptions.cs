namespace Duende.IdentityServer.Configuration;

public class IdentityServerOptions
{
    /// <summary>The <c>iss</c> of every token. By default the address the request came to.</summary>
    public string? IssuerUri { get; set; }

    /// <summary>The <c>typ</c> of access tokens (RFC 9068).</summary>
    public string AccessTokenJwtType { get; set; } = "at+jwt";

    /// <summary>One string with blanks as RFC 9068 wants it, instead of an array.</summary>
    public bool EmitScopesAsSpaceDelimitedStringInJwt { get; set; }

    public EndpointsOptions Endpoints { get; set; } = new();

    public KeyManagementOptions KeyManagement { get; set; } = new();
}

/// <summary>Which endpoints exist. Those that are not offered here must be switched off, or the start fails.</summary>
public class EndpointsOptions
{
    public bool EnableDiscoveryEndpoint { get; set; } = true;

    public bool EnableTokenEndpoint { get; set; } = true;

    public bool EnableUserInfoEndpoint { get; set; } = true;

    public bool EnableTokenRevocationEndpoint { get; set; } = true;

    public bool EnableAuthorizeEndpoint { get; set; } = true;

    public bool EnableEndSessionEndpoint { get; set; } = true;

    public bool EnableCheckSessionEndpoint { get; set; } = true;

    public bool EnableIntrospectionEndpoint { get; set; } = true;

    public bool EnableDeviceAuthorizationEndpoint { get; set; } = true;

    public bool EnableBackchannelAuthenticationEndpoint { get; set; } = true;

    public bool EnablePushedAuthorizationEndpoint { get; set; } = true;
}

public class KeyManagementOptions
{
    /// <summary>Automatic key management; not offered here, so it must be switched off.</summary>
    public bool Enabled { get; set; } = true;
}
