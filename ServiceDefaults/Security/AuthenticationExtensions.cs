using Fleet.ServiceDefaults.Http;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace Fleet.ServiceDefaults.Security;

public static class AuthenticationExtensions
{
    /// <summary>
    /// Validates access tokens offline against auth's published keys (ES256 only, audience <c>fleet</c>). Every endpoint needs a
    /// valid token unless it says otherwise.
    /// </summary>
    public static WebApplicationBuilder AddFleetAuthentication(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<FleetAuthenticationOptions>().BindConfiguration(FleetAuthenticationOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<FleetAuthenticationOptions>, FleetAuthenticationOptionsValidator>();
        builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer();
        builder.Services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<IOptions<FleetAuthenticationOptions>, ServiceAddresses>(Configure);

        builder.Services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build())
            .AddPolicy(FleetPolicies.User, policy => policy.RequireAssertion(context => context.User.TryGetUserId(out _)))
            .AddPolicy(FleetPolicies.Administrator, policy => policy.RequireRole(FleetClaims.AdministratorRole))
            .AddPolicy(FleetPolicies.Internal, policy => policy.RequireAssertion(context => context.User.HasScope(FleetClaims.InternalScope)));

        builder.Services.AddHttpClient<ServiceTokenSource>().AddFleetResilience();
        builder.Services.AddSingleton<ServiceTokenCache>();
        return builder;
    }

    private static void Configure(JwtBearerOptions jwt, IOptions<FleetAuthenticationOptions> options, ServiceAddresses addresses)
    {
        // Keys are fetched inside the fleet, while the issuer is the public address that tokens carry.
        if (addresses.TryResolve("auth", "http") is [var auth, ..])
            jwt.MetadataAddress = new Uri(auth, "/.well-known/openid-configuration").ToString();
        jwt.RequireHttpsMetadata = false;
        jwt.MapInboundClaims = false;
        jwt.TokenValidationParameters = new TokenValidationParameters
        {
            ValidIssuer = options.Value.Issuer,
            ValidAudience = FleetClaims.Audience,
            ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
            ValidTypes = ["at+jwt"],
            NameClaimType = FleetClaims.Name,
            RoleClaimType = FleetClaims.Role,
            ClockSkew = TimeSpan.FromSeconds(30),
        };
    }
}
