using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.ServiceDefaults.Tests;

/// <summary>The smallest service that uses the defaults, on real Kestrel.</summary>
internal sealed class TestService(WebApplication app) : IAsyncDisposable
{
    public IServiceProvider Services => app.Services;

    public HttpClient Client { get; } = new()
    {
        BaseAddress = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()),
    };

    public static async Task<TestService> StartAsync(Action<WebApplicationBuilder>? configure = null, Action<WebApplication>? map = null,
        IEnumerable<KeyValuePair<string, string?>>? configuration = null)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(configuration ?? []);
        builder.AddServiceDefaults();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        configure?.Invoke(builder);
        var app = builder.Build();
        app.UseFleetDefaults();
        app.MapDefaultEndpoints();
        map?.Invoke(app);
        await app.StartAsync();
        var service = new TestService(app);
        await Eventually.TrueAsync(async () =>
        {
            using var ready = await service.Client.GetAsync("/health/ready");
            return ready.IsSuccessStatusCode;
        }, "the service did not become ready");
        return service;
    }

    /// <summary>With a database and messaging, its queues named by <paramref name="prefix"/>.</summary>
    public static async Task<TestService> StartWithMessagingAsync(TestDatabase database, string prefix, Action<MessagingBuilder>? handlers = null, Action<IServiceCollection>? services = null) =>
        await StartAsync(
            builder =>
            {
                services?.Invoke(builder.Services);
                builder.AddFleetDatabase("testdb", typeof(TestService).Assembly);
                builder.AddFleetMessaging("test", handlers);
            },
            configuration: new Dictionary<string, string?>
            {
                ["ConnectionStrings:testdb"] = database.ConnectionString,
                ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
                ["Messaging:Prefix"] = prefix,
            });

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
