using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Services;
using Duende.IdentityServer.Stores;
using Fleet.Auth.Users;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Tokens;

internal static class TokenExtensions
{
    public static WebApplicationBuilder AddTokens(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<IdentityServerOptions>().Configure<IOptions<FleetAuthenticationOptions>>(Configure);
        services.AddIdentityServer()
            .AddInMemoryApiScopes(FleetClients.Scopes)
            .AddInMemoryApiResources(FleetClients.Apis)
            .AddInMemoryIdentityResources(FleetClients.Identities)
            .AddClientStore<FleetClients>()
            .AddAspNetIdentity<FleetUser>();

        services.AddHttpContextAccessor();
        services.AddScoped<ProtocolRefreshTokens>();
        services.AddScoped<IRefreshTokenService>(provider => provider.GetRequiredService<ProtocolRefreshTokens>());
        services.AddScoped<IRefreshTokenStore>(provider => provider.GetRequiredService<ProtocolRefreshTokens>());
        services.AddScoped<SignInStore>();
        services.AddScoped<AccessTokenIssuer>();
        services.AddScoped<SignInService>();

        // Addresses in the discovery document are those the asker used; only the asker sees the answer, so whoever forwards is believed.
        services.Configure<ForwardedHeadersOptions>(options =>
        {
            options.ForwardedHeaders = ForwardedHeaders.XForwardedHost | ForwardedHeaders.XForwardedProto;
            options.KnownIPNetworks.Clear();
            options.KnownProxies.Clear();
        });
        return builder;
    }

    public static WebApplication UseOpenIdConnect(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.UseExceptionHandler();
        app.UseIdentityServer();
        return app;
    }

    private static void Configure(IdentityServerOptions options, IOptions<FleetAuthenticationOptions> fleet)
    {
        options.IssuerUri = fleet.Value.Issuer;
        options.EmitScopesAsSpaceDelimitedStringInJwt = true;
        // Fleet keeps its keys itself (SigningKeys/).
        options.KeyManagement.Enabled = false;
        // Signing in with a browser at other applications is not offered yet.
        options.Endpoints.EnableAuthorizeEndpoint = false;
        options.Endpoints.EnableEndSessionEndpoint = false;
        options.Endpoints.EnableCheckSessionEndpoint = false;
        options.Endpoints.EnableIntrospectionEndpoint = false;
        options.Endpoints.EnableDeviceAuthorizationEndpoint = false;
        options.Endpoints.EnableBackchannelAuthenticationEndpoint = false;
        options.Endpoints.EnablePushedAuthorizationEndpoint = false;
    }
}
