using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Endpoints;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

public static class IdentityServerApplicationBuilderExtensions
{
    /// <summary>Answers the protocol's own paths; everything else goes on to the next middleware.</summary>
    public static IApplicationBuilder UseIdentityServer(this IApplicationBuilder app)
    {
        var options = app.ApplicationServices.GetRequiredService<IdentityServerOptions>();
        Unsupported.Check(options);
        app.UseAuthentication();

        // Resolved per request: what they depend on may be scoped.
        var endpoints = new Dictionary<PathString, Func<HttpContext, Task>>();
        if (options.Endpoints.EnableDiscoveryEndpoint)
        {
            endpoints[DiscoveryEndpoint.DocumentPath] = context => Resolve<DiscoveryEndpoint>(context).DocumentAsync(context);
            endpoints[DiscoveryEndpoint.KeysPath] = context => Resolve<DiscoveryEndpoint>(context).KeysAsync(context);
        }

        if (options.Endpoints.EnableTokenEndpoint)
            endpoints[TokenEndpoint.Path] = context => Resolve<TokenEndpoint>(context).HandleAsync(context);
        if (options.Endpoints.EnableTokenRevocationEndpoint)
            endpoints[RevocationEndpoint.Path] = context => Resolve<RevocationEndpoint>(context).HandleAsync(context);
        if (options.Endpoints.EnableUserInfoEndpoint)
            endpoints[UserInfoEndpoint.Path] = context => Resolve<UserInfoEndpoint>(context).HandleAsync(context);

        return app.Use((context, next) => endpoints.TryGetValue(context.Request.Path, out var endpoint) ? endpoint(context) : next(context));
    }

    private static T Resolve<T>(HttpContext context)
        where T : notnull => context.RequestServices.GetRequiredService<T>();
}
