using System.Text.Json.Serialization;
using Fleet.ServiceDefaults.Health;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Logging;
using Fleet.ServiceDefaults.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Fleet.ServiceDefaults;

/// <summary>What every service of the fleet does the same way: telemetry, health, logs, errors, JSON, addresses.</summary>
public static class ServiceDefaultsExtensions
{
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder)
    {
        builder.AddFleetLogging();
        builder.AddFleetTelemetry();
        builder.Services.AddFleetProblems();
        builder.Services.AddHealthChecks();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.TryAddSingleton<ServiceAddresses>();
        builder.Services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(System.Text.Json.JsonNamingPolicy.CamelCase));
            options.SerializerOptions.RespectNullableAnnotations = true;
        });
        // A stream may run for minutes: give it time to hand over or finish before the process goes.
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(15));
        builder.WebHost.ConfigureKestrelDefaults();
        return builder;
    }

    /// <summary>The middleware every service starts with: errors become problem details, then who is calling, then may they.</summary>
    public static WebApplication UseFleetDefaults(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        if (app.Services.GetService<Microsoft.AspNetCore.Authentication.IAuthenticationSchemeProvider>() is not null)
        {
            app.UseAuthentication();
            app.UseAuthorization();
        }

        return app;
    }

    /// <summary>Liveness, readiness and metrics, anonymous, in every environment; the gateway routes none of them.</summary>
    public static IEndpointRouteBuilder MapDefaultEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapFleetHealth();
        endpoints.MapPrometheusMetrics();
        return endpoints;
    }
}
