using Duende.IdentityServer.AspNetIdentity;

namespace Microsoft.Extensions.DependencyInjection;

public static class IdentityServerBuilderExtensions
{
    /// <summary>Claims and activity of users come from ASP.NET Core Identity.</summary>
    public static IIdentityServerBuilder AddAspNetIdentity<TUser>(this IIdentityServerBuilder builder)
        where TUser : class => builder.AddProfileService<ProfileService<TUser>>();
}
