using Fleet.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace Fleet.Compat.Aspire.Tests;

public sealed class RedisClientTests
{
    [Fact]
    public async Task AddRedisClient_ReachableServer_WorksAndIsHealthy()
    {
        using var host = await HostAsync(await BackingServers.RedisAsync());
        var key = $"fleet-test:{Guid.NewGuid():N}";

        var database = host.Services.GetRequiredService<IConnectionMultiplexer>().GetDatabase();
        await database.StringSetAsync(key, "value", TimeSpan.FromMinutes(1));

        Assert.Equal("value", (string?)await database.StringGetAsync(key));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Status);
        await database.KeyDeleteAsync(key);
    }

    [Fact]
    public async Task AddRedisClient_NoServer_StartsAnywayAndSaysUnhealthy()
    {
        using var host = await HostAsync("127.0.0.1:1,connectTimeout=200,connectRetry=1");

        Assert.NotNull(host.Services.GetRequiredService<IConnectionMultiplexer>());
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host)).Status);
    }

    [Fact]
    public async Task AddRedisClient_NoConnectionString_SaysWhichKeyIsMissing()
    {
        using var host = await HostAsync(null);

        var refusal = Assert.Throws<InvalidOperationException>(() => host.Services.GetRequiredService<IConnectionMultiplexer>());

        Assert.Contains("ConnectionStrings:redis", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddKeyedRedisClient_IsFoundByItsKey()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["ConnectionStrings:other"] = await BackingServers.RedisAsync();
        builder.AddKeyedRedisClient("other", settings => settings.DisableHealthChecks = true);
        using var host = builder.Build();

        Assert.True(host.Services.GetRequiredKeyedService<IConnectionMultiplexer>("other").IsConnected);
        Assert.Null(host.Services.GetService<IConnectionMultiplexer>());
    }

    private static Task<IHost> HostAsync(string? connectionString)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("ConnectionStrings:redis", connectionString)]);
        builder.AddRedisClient("redis");
        return Task.FromResult(builder.Build());
    }

    private static Task<HealthReport> CheckAsync(IHost host) =>
        host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Tags.Contains("ready"), TestContext.Current.CancellationToken);
}
