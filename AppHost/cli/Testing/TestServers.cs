using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Fleet.Provisioning.Servers;
using Spectre.Console;

namespace Fleet.Cli.Testing;

/// <summary>
/// PostgreSQL, RabbitMQ and Redis for one test run: empty, on loopback, without the cost of surviving a power cut. Connection strings
/// that are already set are used instead.
/// </summary>
internal sealed class TestServers : IAsyncDisposable
{
    private static readonly TimeSpan ReadyLimit = TimeSpan.FromMinutes(2);
    private readonly List<ServerProcess> _running = [];

    private TestServers(Dictionary<string, string> connectionStrings) => ConnectionStrings = connectionStrings;

    /// <summary>By environment variable, as the tests read them.</summary>
    public IReadOnlyDictionary<string, string> ConnectionStrings { get; }

    public static async Task<TestServers> StartAsync(FleetPaths paths, IAnsiConsole console, CancellationToken cancellationToken)
    {
        string[] names = ["postgres", "rabbitmq", "redis"];
        var given = names.ToDictionary(name => $"ConnectionStrings__{name}", name => Environment.GetEnvironmentVariable($"ConnectionStrings__{name}") ?? "");
        if (given.Values.All(value => value.Length > 0))
        {
            console.WriteStep("Using the servers of the connection strings that are set");
            return new TestServers(given);
        }

        var installation = await ServerLocator.LocateAsync(console.StepProgress(), cancellationToken);
        console.WriteStep($"Servers: {installation.Source}. {installation.Why}");
        var registry = new ProcessRegistry(paths.ProcessesFile);
        await registry.KillStragglersAsync(TimeSpan.FromSeconds(15), cancellationToken);
        if (Directory.Exists(paths.Data))
            Directory.Delete(paths.Data, recursive: true);

        var ports = new PortAllocator(paths.PortsFile);
        var credentials = ServerCredentials.LoadOrCreate(paths.CredentialsFile);
        ServerLaunch[] launches =
        [
            installation.PostgreSql(Path.Combine(paths.Data, "postgres"), ports.Get("postgres"), credentials.PostgreSql, durable: false),
            installation.RabbitMq(Path.Combine(paths.Data, "rabbitmq"), ports.Get("rabbitmq"), credentials.RabbitMq, ports),
            installation.Redis(Path.Combine(paths.Data, "redis"), ports.Get("redis"), credentials.Redis, durable: false),
        ];
        var servers = new TestServers(launches.ToDictionary(launch => $"ConnectionStrings__{launch.Name}", launch => launch.ConnectionString));
        try
        {
            var starting = launches.Select(launch => ServerProcess.StartAsync(launch, registry, paths.LogFile(launch.Name), ReadyLimit, cancellationToken)).ToList();
            // One that fails must not hide the others from DisposeAsync.
            await Task.WhenAll(starting).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            servers._running.AddRange(starting.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result));
            await Task.WhenAll(starting);
            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_running.Select(server => server.DisposeAsync().AsTask()));
}
