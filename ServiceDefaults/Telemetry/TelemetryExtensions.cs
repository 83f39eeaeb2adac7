using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Fleet.ServiceDefaults.Telemetry;

/// <summary>
/// Traces, metrics and logs over OTLP when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set; metrics as Prometheus text always.
/// The providers are built by hand because .NET 10's own sources already carry the semantic conventions.
/// </summary>
internal static class TelemetryExtensions
{
    /// <summary>Every meter and activity source of ours starts with this.</summary>
    private const string OwnSources = "Fleet.*";

    private static readonly string[] Sources = [OwnSources, "Microsoft.AspNetCore", "System.Net.Http", "MassTransit", "Npgsql", "Yarp.ReverseProxy"];

    private static readonly string[] Meters =
    [
        OwnSources, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Microsoft.AspNetCore.RateLimiting",
        "System.Net.Http", "System.Runtime", "Npgsql", "MassTransit",
    ];

    public static void AddFleetTelemetry(this WebApplicationBuilder builder)
    {
        var export = !string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var resource = ResourceBuilder.CreateDefault()
            .AddService(builder.Configuration["OTEL_SERVICE_NAME"] ?? builder.Environment.ApplicationName,
                serviceVersion: Assembly.GetEntryAssembly()?.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion)
            .AddEnvironmentVariableDetector();

        builder.Services.AddSingleton(_ => new PrometheusExporter());
        builder.Services.AddSingleton(services =>
        {
            var metrics = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(Meters)
                .AddReader(new BaseExportingMetricReader(services.GetRequiredService<PrometheusExporter>()));
            if (export) metrics.AddOtlpExporter();
            return metrics.Build();
        });

        if (export)
        {
            builder.Services.AddSingleton(_ => Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(Sources).AddOtlpExporter().Build());
            builder.Logging.AddOpenTelemetry(logs => logs.SetResourceBuilder(resource).AddProcessor(new RedactingLogProcessor()).AddOtlpExporter());
        }

        builder.Services.AddHostedService<TelemetryStarter>();
    }

    /// <summary>Builds the providers before the first request; the container disposes, and so flushes, them at the end.</summary>
    private sealed class TelemetryStarter(IServiceProvider services) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            services.GetRequiredService<MeterProvider>();
            services.GetService<TracerProvider>();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class RedactingLogProcessor : BaseProcessor<LogRecord>
    {
        public override void OnEnd(LogRecord data)
        {
            if (data.FormattedMessage is { } message) data.FormattedMessage = Logging.Redactor.Redact(message);
            if (data.Attributes is { } attributes)
            {
                data.Attributes = [.. attributes.Select(pair =>
                    pair.Value is string text ? new KeyValuePair<string, object?>(pair.Key, Logging.Redactor.Redact(text)) : pair)];
            }
        }
    }
}
