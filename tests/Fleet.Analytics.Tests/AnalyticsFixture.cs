using System.Net.Http.Json;
using Fleet.Analytics.Usage;
using Fleet.Contracts.Events;
using Fleet.Testing;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;

[assembly: AssemblyFixture(typeof(Fleet.Analytics.Tests.AnalyticsFixture))]

namespace Fleet.Analytics.Tests;

/// <summary>The real service on a database and queues of its own.</summary>
public sealed class AnalyticsFixture : IAsyncLifetime
{
    public TestDatabase Database { get; private set; } = null!;

    public TestTokens Tokens { get; private set; } = null!;

    public ServiceFactory<UsageReport> Service { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync();
        Tokens = await TestTokens.StartAsync();
        Service = await ServiceFactory<UsageReport>.StartAsync(new Dictionary<string, string?>(Tokens.Configuration)
        {
            ["ConnectionStrings:analyticsdb"] = Database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
        });
    }

    public HttpClient ClientFor(Guid userId, params string[] roles) => Service.CreateClient(Tokens.Issue(userId, roles));

    public Task PublishAsync(IntegrationEvent e) => Service.Services.GetRequiredService<IBus>().Publish(e, e.GetType());

    public async Task<UsageReport> ReportAsync(Guid userId, string query = "")
    {
        using var client = ClientFor(userId);
        return (await client.GetFromJsonAsync<UsageReport>("/api/analytics/usage/me" + query))!;
    }

    /// <summary>Waits until the handlers have worked off an event that was published last.</summary>
    public Task HandledAsync(IntegrationEvent e) => Eventually.TrueAsync(
        async () => await Database.ScalarAsync($"SELECT count(*) FROM inbox_messages WHERE event_id = '{e.EventId}'") is > 0L,
        "the event was never handled");

    public async ValueTask DisposeAsync()
    {
        await Service.DisposeAsync();
        await Tokens.DisposeAsync();
        await Database.DisposeAsync();
    }
}
