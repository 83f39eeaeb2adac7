using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Fleet.Compat.Grpc.Tests;

public sealed class HealthTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Check_answers_for_each_mapped_service()
    {
        var store = HealthStatus.Healthy;
        await using var server = await StartAsync(() => store);
        var client = new Health.HealthClient(server.Channel);

        Assert.Equal(ServingStatus.Serving, await CheckAsync(client, ""));
        store = HealthStatus.Degraded;
        Assert.Equal(ServingStatus.Serving, await CheckAsync(client, ""));
        store = HealthStatus.Unhealthy;
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(client, ""));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(client, "store"));
        Assert.Equal(ServingStatus.Serving, await CheckAsync(client, "self"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Check_of_an_unknown_service_is_not_found()
    {
        await using var server = await StartAsync(() => HealthStatus.Healthy);

        var exception = await Assert.ThrowsAsync<RpcException>(() => CheckAsync(new Health.HealthClient(server.Channel), "nobody"));

        Assert.Equal(StatusCode.NotFound, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Watch_answers_at_once_and_on_every_change()
    {
        var store = HealthStatus.Healthy;
        await using var server = await StartAsync(() => store);

        using var watch = new Health.HealthClient(server.Channel).Watch(new HealthCheckRequest { Service = "store" }, cancellationToken: Token);
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));
        store = HealthStatus.Unhealthy;
        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));
        store = HealthStatus.Healthy;
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Watch_of_an_unknown_service_says_so_and_stays_open()
    {
        await using var server = await StartAsync(() => HealthStatus.Healthy);

        using var watch = new Health.HealthClient(server.Channel).Watch(new HealthCheckRequest { Service = "nobody" }, cancellationToken: Token);

        Assert.Equal(ServingStatus.ServiceUnknown, await NextAsync(watch));
        Assert.Throws<InvalidOperationException>(() => watch.GetStatus());
    }

    private static Task<EchoServer> StartAsync(Func<HealthStatus> store) => EchoServer.StartAsync(
        services: services =>
        {
            services.AddGrpcHealthChecks(options =>
                {
                    options.Services.Map("store", check => check.Tags.Contains("store"));
                    options.Services.Map("self", check => check.Name == "self");
                })
                .AddCheck("self", () => HealthCheckResult.Healthy())
                .AddCheck("store", () => new HealthCheckResult(store()), ["store"]);
            services.Configure<HealthCheckPublisherOptions>(options =>
            {
                options.Delay = TimeSpan.Zero;
                options.Period = TimeSpan.FromSeconds(1);
            });
        },
        map: app => app.MapGrpcHealthChecksService());

    private static async Task<ServingStatus> CheckAsync(Health.HealthClient client, string service) =>
        (await client.CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Token)).Status;

    private static async Task<ServingStatus> NextAsync(AsyncServerStreamingCall<HealthCheckResponse> watch)
    {
        Assert.True(await watch.ResponseStream.MoveNext(Token).WaitAsync(TimeSpan.FromSeconds(20), Token));
        return watch.ResponseStream.Current.Status;
    }
}
