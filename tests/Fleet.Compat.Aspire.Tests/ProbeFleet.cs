using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning;

namespace Fleet.Compat.Aspire.Tests;

/// <summary>A fleet of probes with its own state, stopped and deleted with the test.</summary>
internal sealed class ProbeFleet : IAsyncDisposable
{
    private readonly TestFolder _folder;
    private readonly bool _ownsFolder;
    private DistributedApplication? _application;

    public ProbeFleet(TestFolder? folder = null)
    {
        _ownsFolder = folder is null;
        _folder = folder ?? new TestFolder();
        Paths = new FleetPaths(_folder.Path, _folder.File("state"));
        Builder = new DistributedApplicationBuilder(new DistributedApplicationOptions
        {
            ProjectDirectory = ProbeHostDirectory,
            Args = [$"--Fleet:StateDirectory={Paths.State}", "--Fleet:ShowStatus=false", "--Fleet:AnyPort=true", "--Fleet:DurableServers=false"],
        });
    }

    public DistributedApplicationBuilder Builder { get; }

    public FleetPaths Paths { get; }

    public ResourceNotificationService Notifications => _application!.ResourceNotifications;

    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    private static string ProbeHostDirectory => Projects.Fleet_ProbeAppHost.ProjectPath;

    private string Journal => _folder.File("journal");

    public string Gate(string name) => _folder.File(name + ".ready");

    public void OpenGate(string name) => File.WriteAllText(Gate(name), "");

    public IReadOnlyList<string> ReadJournal() => File.Exists(Journal) ? File.ReadAllLines(Journal) : [];

    public IResourceBuilder<ProjectResource> AddProbe(string name) => Builder.AddProject<Projects.Fleet_Probe>(name)
        .WithHttpHealthCheck("/health/ready")
        .WithEnvironment("PROBE_NAME", name)
        .WithEnvironment("PROBE_JOURNAL", Journal);

    public async Task StartAsync()
    {
        _application = Builder.Build();
        await _application.StartAsync(Limit);
    }

    public Task HealthyAsync(string name) => Notifications.WaitForResourceHealthyAsync(name, Limit).WaitAsync(TimeSpan.FromSeconds(60), Limit);

    public CustomResourceSnapshot Snapshot(string id) =>
        Notifications.TryGetCurrentState(id, out var state) ? state.Snapshot : throw new InvalidOperationException($"{id} is unknown");

    public int ProcessId(string id) => (int)Snapshot(id).Properties.Single(property => property.Name == "executable.pid").Value!;

    public Uri Address(string id, string endpoint = "http") => new(Snapshot(id).Urls.Single(url => url.Name == endpoint).Url);

    public async Task<T> GetAsync<T>(string id, string path)
    {
        using var http = new HttpClient { BaseAddress = Address(id) };
        return (await http.GetFromJsonAsync<T>(path, Limit))!;
    }

    public async Task StopAsync()
    {
        if (_application is null)
            return;
        await _application.StopAsync(CancellationToken.None);
        await _application.DisposeAsync();
        _application = null;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_ownsFolder)
            _folder.Dispose();
    }
}
