using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Gateway.Health;
using Fleet.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Fleet.Gateway.Tests;

public sealed class HealthTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task The_gateway_answers_its_own_probes(string path)
    {
        using var client = fleet.CreateClient();

        using var answer = await client.GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task The_fleet_is_up_when_every_service_is_ready()
    {
        await using var auth = await Upstream.StartAsync("auth");
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address));
        using var client = gateway.CreateClient();

        using var answer = await client.GetAsync("/health");
        var report = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("up", report.GetProperty("status").GetString());
        Assert.Equal(
            ["auth", "chat", "inference", "knowledge", "analytics", "notification", "web"],
            report.GetProperty("services").EnumerateObject().Select(service => service.Name));
        Assert.DoesNotContain("127.0.0.1", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_service_down_makes_it_503_and_says_which()
    {
        await using var auth = await Upstream.StartAsync("auth");
        auth.Ready = false;
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address), ("services:web:http:0", "http://127.0.0.1:9"));
        using var client = gateway.CreateClient();

        using var answer = await client.GetAsync("/health");
        var services = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("services");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("down", services.GetProperty("auth").GetProperty("status").GetString());
        Assert.Equal("down", services.GetProperty("web").GetProperty("status").GetString());
        Assert.Equal("up", services.GetProperty("chat").GetProperty("status").GetString());
    }

    [Fact]
    public async Task One_replica_of_two_down_is_degraded_but_serving()
    {
        await using var auth = await Upstream.StartAsync("auth");
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address), ("services:chat:http:1", "http://127.0.0.1:9"));
        using var client = gateway.CreateClient();

        using var answer = await client.GetAsync("/health");
        var report = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("degraded", report.GetProperty("status").GetString());
        Assert.Equal(1, report.GetProperty("services").GetProperty("chat").GetProperty("ready").GetInt32());
    }

    [Fact]
    public async Task Draining_reports_not_ready_but_still_serves_what_is_under_way()
    {
        var time = new ManualTimeProvider();
        await using var upstream = await Upstream.StartAsync("chat");
        await using var gateway = await fleet.StartAsync(
            [("services:chat:http:0", upstream.Address), ("Gateway:DrainDelay", "00:00:10")],
            services => services.AddSingleton<TimeProvider>(time));
        using var client = gateway.CreateClient();
        using var stream = await client.GetAsync("/api/runs/1/stream", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await stream.Content.ReadAsStreamAsync());

        var stopping = gateway.Services.GetRequiredService<IHost>().StopAsync();
        await Eventually.TrueAsync(async () => (await client.GetAsync("/health/ready")).StatusCode == HttpStatusCode.ServiceUnavailable);
        using var accepted = await client.GetAsync("/api/sessions");
        time.Advance(TimeSpan.FromSeconds(11));
        await upstream.Events.Writer.WriteAsync("last words");
        var line = await reader.ReadLineAsync();
        upstream.Events.Writer.Complete();
        await reader.ReadToEndAsync();
        await stopping;

        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        Assert.Equal("data: last words", line);
    }

    [Fact]
    public async Task Many_callers_share_one_look()
    {
        await using var auth = await Upstream.StartAsync("auth");
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address));
        var health = gateway.Services.GetRequiredService<FleetHealth>();

        var reports = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => health.AskAsync(CancellationToken.None)));

        Assert.True(reports.Distinct(ReferenceEqualityComparer.Instance).Count() <= 2);
    }
}
