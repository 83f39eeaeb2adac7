using Fleet.Provisioning.Servers;

namespace DotNet.Testcontainers.Containers;

/// <summary>One server process with a data directory of its own that goes with it.</summary>
public abstract class LocalContainer : IContainer
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);
    private readonly string _dataDirectory;
    private ServerProcess? _server;

    private protected LocalContainer(string? name)
    {
        Id = Guid.NewGuid().ToString("N");
        Name = "/" + (name ?? Id[..12]);
        _dataDirectory = LocalServers.NewDataDirectory(Id);
    }

    public string Id { get; }

    public string Name { get; }

    public string Hostname => "127.0.0.1";

    public TestcontainersStates State { get; private set; } = TestcontainersStates.Created;

    private protected ServerLaunch Launch =>
        _server?.Launch ?? throw new InvalidOperationException("The container has not been started.");

    public ushort GetMappedPublicPort(int containerPort) => (ushort)Launch.Port;

    public async Task StartAsync(CancellationToken ct = default)
    {
        if (State == TestcontainersStates.Running)
            return;
        var installation = await LocalServers.InstallationAsync().WaitAsync(ct);
        var launch = Describe(installation, _dataDirectory);
        _server = await ServerProcess.StartAsync(launch, LocalServers.Registry, _dataDirectory + ".log", StartLimit, ct);
        await AfterStartAsync(ct);
        State = TestcontainersStates.Running;
    }

    public async Task StopAsync(CancellationToken ct = default)
    {
        if (_server is null)
            return;
        await _server.DisposeAsync();
        _server = null;
        State = TestcontainersStates.Exited;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (Directory.Exists(_dataDirectory))
            Directory.Delete(_dataDirectory, recursive: true);
        GC.SuppressFinalize(this);
    }

    private protected abstract ServerLaunch Describe(ServerInstallation installation, string dataDirectory);

    private protected virtual Task AfterStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
