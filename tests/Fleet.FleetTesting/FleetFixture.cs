using System.Globalization;
using System.Net.Http.Headers;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Fleet.Models;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Xunit;

namespace Fleet.FleetTesting;

/// <summary>The whole fleet as the AppHost describes it, with servers, data and ports of its own, and one tiny native model installed.</summary>
public sealed class FleetFixture : IAsyncLifetime
{
    public const string ExtractiveModel = "fleet-extractive";

    /// <summary>Random weights behind a real tokenizer: it talks nonsense through real llama.cpp.</summary>
    public const string NativeModel = "test-llama";

    /// <summary>Tokens; long enough that a reply is still running when a test reaches for it.</summary>
    public const int LongReply = 600;

    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(4);
    private static readonly string[] Services = ["auth", "inference", "knowledge", "chat", "analytics", "notification", "web", "gateway"];

    private readonly string _state = Path.Combine(FindRoot(), ".fleet", "test", "integration-" + Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
    private DistributedApplication _app = null!;
    private FleetUser? _sharedUser;

    public Uri GatewayAddress => _app.GetEndpoint("gateway", "http");

    public async ValueTask InitializeAsync()
    {
        // Many people sign in from one address here.
        Environment.SetEnvironmentVariable("Gateway__SignInsPerMinute", "100000");

        // The servers of ./fleet test are for the services' own tests; this fleet starts its own, as ./fleet up does.
        foreach (var name in new[] { "postgres", "rabbitmq", "redis" }) Environment.SetEnvironmentVariable("ConnectionStrings__" + name, null);

        var models = Directory.CreateDirectory(Path.Combine(_state, "data", "models")).FullName;
        LlamaModel.Slow.Save(Path.Combine(models, NativeModel + ".gguf"));

        using var timeout = new CancellationTokenSource(StartTimeout);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_AppHost>([$"--Fleet:StateDirectory={_state}"], timeout.Token);
        _app = await builder.BuildAsync(timeout.Token);
        await _app.StartAsync(timeout.Token);
        foreach (var service in Services) await _app.ResourceNotifications.WaitForResourceHealthyAsync(service, timeout.Token);
    }

    public async ValueTask DisposeAsync()
    {
        _sharedUser?.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (Directory.Exists(_state)) Directory.Delete(_state, recursive: true);
    }

    /// <summary>An anonymous client of the gateway.</summary>
    public HttpClient CreateClient() => new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = GatewayAddress, Timeout = TimeSpan.FromMinutes(2) };

    /// <summary>One person for tests that change nothing; the caller must not dispose it.</summary>
    public async Task<FleetUser> SharedUserAsync() => _sharedUser ??= await FleetUser.RegisterAsync(this);

    /// <summary>Signed in with the generated password, as the operator reads it from the file.</summary>
    public async Task<HttpClient> CreateAdministratorAsync()
    {
        var client = CreateClient();
        var password = (await File.ReadAllTextAsync(Path.Combine(_state, "admin-password"))).Trim();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", await FleetUser.LogInAsync(client, "admin", password));
        return client;
    }

    public async Task<string> ConnectionStringAsync(string resource) => await _app.GetConnectionStringAsync(resource) ?? throw new InvalidOperationException($"{resource} has no connection string.");

    /// <summary>The service's process now; 0 while there is none.</summary>
    public async Task<int> ProcessIdAsync(string service)
    {
        var state = await _app.ResourceNotifications.WaitForResourceAsync(service, _ => true);
        return state.Snapshot.Properties.FirstOrDefault(property => property.Name == "executable.pid")?.Value is { } pid ? Convert.ToInt32(pid, CultureInfo.InvariantCulture) : 0;
    }

    public async Task<bool> IsReadyAsync(string service) =>
        (await _app.ResourceNotifications.WaitForResourceAsync(service, _ => true)).Snapshot.HealthStatus == HealthStatus.Healthy;

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "global.json"))) directory = directory.Parent;
        return directory?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository.");
    }
}
