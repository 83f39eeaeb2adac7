using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Model;

namespace Fleet.Gateway.Edge;

internal static class EdgeExtensions
{
    public static void AddEdge(this WebApplicationBuilder builder)
    {
        builder.Services.AddSignInLimit();
        builder.Services.AddApiKeyExchange();
        builder.Services.AddCors();
        builder.Services.AddSingleton<PrivatePaths>();
        // The services decide who may do what; the edge only refuses tokens that are no good anywhere.
        builder.Services.Configure<AuthorizationOptions>(options => options.FallbackPolicy = null);
    }

    /// <summary>
    /// Every request, in order: headers of the answer, errors, who really calls, what is not public, the route, cross-origin
    /// rules, size, sign-in limit, API key, token.
    /// </summary>
    public static void UseEdge(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<IOptions<GatewayOptions>>().Value;
        var hidden = app.Services.GetRequiredService<PrivatePaths>();

        app.Use((context, next) =>
        {
            SecurityHeaders.Apply(context);
            return next(context);
        });
        app.UseMiddleware<EdgeErrors>();
        if (options.TrustedProxies.Count > 0) app.UseForwardedHeaders(Forwarding(options.TrustedProxies));
        app.Use((context, next) =>
        {
            InboundHeaders.Strip(context);
            return hidden.Hides(context) ? EdgeProblem.NotFound.WriteAsync(context) : next(context);
        });
        app.UseRouting();
        if (options.AllowedOrigins.Count > 0)
            app.UseCors(policy => policy.WithOrigins([.. options.AllowedOrigins]).AllowAnyHeader().AllowAnyMethod());
        app.Use((context, next) => IsTooLarge(context) ? EdgeProblem.TooLarge.WriteAsync(context) : next(context));
        app.UseRateLimiter();
        app.UseMiddleware<ApiKeyExchange>();
        // Called here by name, because the one that ASP.NET puts first by itself would judge the key before its exchange.
        app.UseAuthentication();
        app.UseMiddleware<BearerCheck>();
    }

    // Refused before a byte of it is forwarded; Kestrel watches bodies that do not say their length.
    private static bool IsTooLarge(HttpContext context) =>
        context.Request.ContentLength > (context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>()?.Config.MaxRequestBodySize
            ?? context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize);

    private static ForwardedHeadersOptions Forwarding(IEnumerable<string> trusted)
    {
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in trusted) options.KnownIPNetworks.Add(System.Net.IPNetwork.Parse(network));
        return options;
    }
}
