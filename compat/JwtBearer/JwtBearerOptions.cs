using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Microsoft.AspNetCore.Authentication.JwtBearer;

public class JwtBearerOptions : AuthenticationSchemeOptions
{
    private readonly JsonWebTokenHandler _defaultHandler = new() { MapInboundClaims = true };

    public JwtBearerOptions() => TokenHandlers = [_defaultHandler];

    /// <summary>Metadata and its keys may only be fetched by https; true by default.</summary>
    public bool RequireHttpsMetadata { get; set; } = true;

    /// <summary>The discovery document; by default <see cref="Authority"/> + /.well-known/openid-configuration.</summary>
    public string MetadataAddress { get; set; } = default!;

    public string? Authority { get; set; }

    /// <summary>The only audience accepted, unless <see cref="TokenValidationParameters"/> names one already.</summary>
    public string? Audience { get; set; }

    /// <summary>What a challenge starts with.</summary>
    public string Challenge { get; set; } = JwtBearerDefaults.AuthenticationScheme;

    public new JwtBearerEvents Events
    {
        get => (JwtBearerEvents)base.Events!;
        set => base.Events = value;
    }

    public HttpMessageHandler? BackchannelHttpHandler { get; set; }

    public HttpClient Backchannel { get; set; } = default!;

    public TimeSpan BackchannelTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>A fixed configuration: nothing is fetched.</summary>
    public OpenIdConnectConfiguration? Configuration { get; set; }

    public IConfigurationManager<OpenIdConnectConfiguration>? ConfigurationManager { get; set; }

    /// <summary>A token signed by a key not yet known makes the keys be fetched anew, at most once per <see cref="RefreshInterval"/>.</summary>
    public bool RefreshOnIssuerKeyNotFound { get; set; } = true;

    public IList<TokenHandler> TokenHandlers { get; }

    public TokenValidationParameters TokenValidationParameters { get; set; } = new();

    /// <summary>The token is kept in the authentication properties as access_token.</summary>
    public bool SaveToken { get; set; } = true;

    /// <summary>The challenge says why a token was refused.</summary>
    public bool IncludeErrorDetails { get; set; } = true;

    /// <summary>Claim names of tokens become .NET's long claim types; true by default, as in the original.</summary>
    public bool MapInboundClaims
    {
        get => _defaultHandler.MapInboundClaims;
        set => _defaultHandler.MapInboundClaims = value;
    }

    public TimeSpan AutomaticRefreshInterval { get; set; } = BaseConfigurationManager.DefaultAutomaticRefreshInterval;

    public TimeSpan RefreshInterval { get; set; } = BaseConfigurationManager.DefaultRefreshInterval;
}
