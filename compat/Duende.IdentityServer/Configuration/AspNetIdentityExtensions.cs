using Duende.IdentityServer.AspNetIdentity;
using Microsoft.AspNetCore.Identity;

namespace Microsoft.Extensions.DependencyInjection;

public static class IdentityServerBuilderExtensions
{
    /// <summary>Claims and activity of users come from ASP.NET Core Identity.</summary>
    public static IIdentityServerBuilder AddAspNetIdentity<TUser>(this IIdentityServerBuilder builder)
        where TUser : class
    {
        builder.Services.Configure<IdentityOptions>(options =>
        {
            options.ClaimsIdentity.UserIdClaimType = "sub";
            options.ClaimsIdentity.UserNameClaimType = "name";
            options.ClaimsIdentity.RoleClaimType = "role";
            options.ClaimsIdentity.EmailClaimType = "email";
        });
        return builder.AddProfileService<ProfileService<TUser>>();
    }
}
