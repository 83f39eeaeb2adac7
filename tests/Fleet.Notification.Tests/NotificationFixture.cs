using System.Net.Http.Json;
using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.Testing;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;

[assembly: AssemblyFixture(typeof(Fleet.Notification.Tests.NotificationFixture))]

namespace Fleet.Notification.Tests;

/// <summary>The real service on a database and queues of its own.</summary>
public sealed class NotificationFixture : IAsyncLifetime
{
    public TestDatabase Database { get; private set; } = null!;

    public TestTokens Tokens { get; private set; } = null!;

    public ServiceFactory<NotificationView> Service { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync();
        Tokens = await TestTokens.StartAsync();
        Service = await ServiceFactory<NotificationView>.StartAsync(new Dictionary<string, string?>(Tokens.Configuration)
        {
            ["ConnectionStrings:notificationdb"] = Database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
            ["Notification:PingInterval"] = "00:00:00.100",
        });
    }

    public HttpClient ClientFor(Guid userId, params string[] roles) => Service.CreateClient(Tokens.Issue(userId, roles));

    public Task PublishAsync(IntegrationEvent e) => Service.Services.GetRequiredService<IBus>().Publish(e, e.GetType());

    public async Task<NotificationPage> ListAsync(Guid userId, string query = "", params string[] roles)
    {
        using var client = ClientFor(userId, roles);
        return (await client.GetFromJsonAsync<NotificationPage>("/api/notifications" + query))!;
    }

    public async Task DeliverAsync(params IntegrationEvent[] events)
    {
        foreach (var e in events)
            await PublishAsync(e);
        foreach (var e in events)
            await HandledAsync(e);
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
