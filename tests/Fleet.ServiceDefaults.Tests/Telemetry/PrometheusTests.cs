using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Telemetry;

public sealed class PrometheusTests
{
    [Fact]
    public async Task Metrics_are_served_as_prometheus_text()
    {
        await using var service = await TestService.StartAsync();
        var meter = service.Services.GetRequiredService<IMeterFactory>().Create("Fleet.Test");
        meter.CreateCounter<long>("fleet.test.things", "{thing}", "Things \"counted\".").Add(3, new KeyValuePair<string, object?>("kind", "a\"b"));
        meter.CreateHistogram<double>("fleet.test.duration", "s").Record(0.3);
        meter.CreateUpDownCounter<int>("fleet.test.open").Add(2);

        using var response = await service.Client.GetAsync("/metrics");
        var text = await response.Content.ReadAsStringAsync();

        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains("# TYPE fleet_test_things_total counter\nfleet_test_things_total{kind=\"a\\\"b\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("fleet_test_duration_seconds_bucket{le=\"+Inf\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("fleet_test_duration_seconds_count 1\n", text, StringComparison.Ordinal);
        Assert.Contains("fleet_test_open 2\n", text, StringComparison.Ordinal);
        Assert.Contains("dotnet_gc_", text, StringComparison.Ordinal);
    }
}
