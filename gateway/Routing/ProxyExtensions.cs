using Fleet.Gateway.Edge;
using Yarp.ReverseProxy.Transforms;

namespace Fleet.Gateway.Routing;

internal static class ProxyExtensions
{
    /// <summary>Everything below these is the API's, so that an unknown address there is an error and never the web page.</summary>
    private static readonly string[] ApiRoots = ["/api", "/v1", "/ws", "/connect", "/.well-known", "/bff", "/health"];

    /// <summary>A service that is up accepts at once; one that does not is better reported than waited for.</summary>
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(3);

    /// <summary>After the configured routes (0), before the web page (1000).</summary>
    private const int BehindRoutes = 500;

    public static void AddFleetProxy(this WebApplicationBuilder builder) => builder.Services.AddReverseProxy()
        .LoadFromConfig(builder.Configuration.GetSection("ReverseProxy"))
        .AddConfigFilter<ServiceClusters>()
        .ConfigureHttpClient((_, handler) => handler.ConnectTimeout = ConnectTimeout)
        .AddTransforms(transforms => transforms.AddResponseTransform(StartStreamAsync));

    public static void MapFleetProxy(this WebApplication app)
    {
        app.MapReverseProxy(pipeline =>
        {
            pipeline.UseMiddleware<SafeRetry>();
            pipeline.UseLoadBalancing();
            pipeline.UsePassiveHealthChecks();
        });

        foreach (var root in ApiRoots)
            app.Map(root + "/{**rest}", EdgeProblem.NotFound.WriteAsync).WithOrder(BehindRoutes).ExcludeFromDescription();
    }

    /// <summary>
    /// YARP sends the headers together with the first byte of the body. A client that waits for its stream to open must not wait
    /// for the first token.
    /// </summary>
    private static async ValueTask StartStreamAsync(ResponseTransformContext context)
    {
        if (context.ProxyResponse?.Content.Headers.ContentType?.MediaType == "text/event-stream")
            await context.HttpContext.Response.Body.FlushAsync(context.CancellationToken);
    }
}
