using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using HealthEndpoints = Fleet.ServiceDefaults.Health.HealthEndpoints;

namespace Fleet.Gateway.Health;

internal static class FleetHealthExtensions
{
    public static void AddFleetHealth(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<FleetHealth>(services => new FleetHealth(
            services.GetRequiredService<IHttpClientFactory>().CreateClient(nameof(FleetHealth)),
            services.GetRequiredService<ServiceDefaults.Http.ServiceAddresses>(),
            services.GetRequiredService<TimeProvider>()));
        builder.Services.AddHttpClient();
        builder.Services.AddSingleton<Drain>();
        builder.Services.AddHostedService(services => services.GetRequiredService<Drain>());
        builder.Services.AddHealthChecks().AddCheck<Drain>("drain", tags: [HealthEndpoints.ReadyTag]);
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<GatewayOptions>>((host, gateway) =>
            host.ShutdownTimeout = gateway.Value.DrainDelay + gateway.Value.DrainTimeout);
    }

    public static void MapFleetHealth(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/health", Get).WithName("FleetHealth").WithSummary("Every service of the fleet; 503 when one is down")
            .AllowAnonymous();

    private static async Task<JsonHttpResult<FleetHealthReport>> Get(FleetHealth fleet, HttpResponse response, CancellationToken cancellationToken)
    {
        var report = await fleet.AskAsync(cancellationToken);
        response.Headers.CacheControl = "no-store";
        return TypedResults.Json(report,
            statusCode: report.Status == FleetHealth.Down ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }
}
