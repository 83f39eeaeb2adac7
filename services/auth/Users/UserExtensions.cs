using Fleet.Auth.Data;
using Fleet.Auth.Tokens;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Users;

internal static class UserPolicies
{
    /// <summary>The person in person: a token that an API key was exchanged for may use the fleet but not manage the account.</summary>
    public const string Account = "auth-account";
}

internal static class UserExtensions
{
    public static WebApplicationBuilder AddUsers(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<PasswordHasherOptions>().Configure<IOptions<AuthOptions>>(
            (hasher, options) => hasher.IterationCount = options.Value.PasswordIterations);
        services.AddIdentityCore<FleetUser>(options =>
            {
                options.User.RequireUniqueEmail = true;
                options.Password = new PasswordOptions
                {
                    RequiredLength = PasswordRules.MinLength,
                    RequireDigit = false,
                    RequireLowercase = false,
                    RequireUppercase = false,
                    RequireNonAlphanumeric = false,
                };
            })
            .AddRoles<IdentityRole<Guid>>()
            .AddEntityFrameworkStores<AuthDbContext>()
            .AddPasswordValidator<PasswordRules>()
            .AddClaimsPrincipalFactory<FleetClaimsFactory>();

        services.AddSingleton<UnknownUserHash>();
        services.AddScoped<PasswordCheck>();
        services.AddScoped<RegistrationService>();
        services.AddHostedService<AdministratorBootstrap>();
        services.AddAuthorizationBuilder().AddPolicy(UserPolicies.Account, policy => policy.RequireAssertion(
            context => context.User.TryGetUserId(out _) && !context.User.HasClaim(claim => claim.Type == AuthClaims.ApiKey)));
        return builder;
    }
}
