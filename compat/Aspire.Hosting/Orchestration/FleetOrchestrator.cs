using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Runs the model: gives every replica its addresses, one supervisor per process, and takes everything down in reverse order.
/// <list type="number">
/// <item>take the run lock and end what a killed run left behind;</item>
/// <item>allocate addresses, so that any resource can be told any other's;</item>
/// <item>start all supervisors at once: each waits for its own dependencies;</item>
/// <item>at the end, stop each process when those that depend on it have stopped.</item>
/// </list>
/// </summary>
internal sealed partial class FleetOrchestrator(
    DistributedApplicationModel model, FleetPaths paths, OrchestrationOptions options, ResourceNotificationService notifications,
    ProcessEnvironment environment, StateFile stateFile, TimeProvider time, ILogger<FleetOrchestrator> logger) : IHostedService, IDisposable, IAsyncDisposable
{
    private static readonly TimeSpan StragglerGrace = TimeSpan.FromSeconds(4);
    private volatile Dictionary<IResource, ResourceInstance[]> _instances = [];
    private readonly List<InstanceSupervisor> _supervisors = [];
    private readonly List<Task> _passive = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly HttpHealth _health = new();
    private RunLock? _lock;
    private Dependencies? _dependencies;
    private Task? _stopped;

    public IEnumerable<ResourceInstance> Instances => _instances.Values.SelectMany(replicas => replicas);

    public List<InstanceSupervisor> FindSupervisors(string nameOrId) =>
    [
        .. _supervisors.Where(supervisor =>
            string.Equals(supervisor.Instance.Id, nameOrId, StringComparison.OrdinalIgnoreCase)
            || string.Equals(supervisor.Instance.Resource.Name, nameOrId, StringComparison.OrdinalIgnoreCase)),
    ];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // 1. One host per state directory.
        paths.CreateDirectories();
        _lock = RunLock.TryAcquire(paths)
            ?? throw new DistributedApplicationException($"This fleet is running already (process {RunLock.Holder(paths)}, state in {paths.State}).");
        var registry = new ProcessRegistry(paths.ProcessesFile);
        var stragglers = await registry.KillStragglersAsync(StragglerGrace, cancellationToken);
        if (stragglers.Count > 0)
            Log.Stragglers(logger, string.Join(", ", stragglers));

        // 2. Addresses.
        _dependencies = new Dependencies([.. model.Resources]);
        var ports = new PortAllocator(paths.PortsFile);
        _instances = AllocateEndpoints(new EndpointPorts(ports, options.AnyPort));
        stateFile.Begin(this);
        foreach (var instance in Instances)
            instance.Set(instance.Status);

        // 3. Supervisors.
        var commands = new CommandLauncher(environment, _health, resource => _instances[resource], options.AppHostAssembly);
        var servers = new Lazy<ServerLauncher>(() => new ServerLauncher(paths, ports, options.DurableServers, new ProvisioningProgress(this, logger)));
        foreach (var instance in Instances)
        {
            if (instance.Resource is ContainerResource)
                Supervise(instance, servers.Value, registry);
            else if (instance.Resource is ProjectResource or ExecutableResource)
                Supervise(instance, commands, registry);
            else
                _passive.Add(ProvideAsync(instance));
        }

        foreach (var supervisor in _supervisors.Where(supervisor => !supervisor.Instance.Resource.Annotations.OfType<ExplicitStartupAnnotation>().Any()))
            supervisor.Start();
    }

    public Task StopAsync(CancellationToken cancellationToken) => _stopped ??= StopOnceAsync();

    /// <summary>A test that only disposes of its application must not leave a fleet behind.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        Dispose();
    }

    public void Dispose()
    {
        StopAsync(CancellationToken.None).GetAwaiter().GetResult();
        _stopping.Dispose();
        _health.Dispose();
        _lock?.Dispose();
    }

    private async Task StopOnceAsync()
    {
        if (_dependencies is not null)
        {
            // 4. Reverse order. The time limits are each process's own: cutting the last one short would be no gain.
            await _stopping.CancelAsync();
            await Task.WhenAll(_passive);
            var stops = new Dictionary<IResource, Task>();
            await Task.WhenAll(_instances.Keys.ToArray().Select(resource => StopAfterDependentsAsync(resource, stops)));
            foreach (var instance in Instances.Where(instance => instance.Status.State is not (InstanceState.Stopped or InstanceState.Finished)))
                instance.Set(new InstanceStatus(InstanceState.Stopped));
            foreach (var supervisor in _supervisors)
                await supervisor.DisposeAsync();
            await stateFile.EndAsync();
        }

        _lock?.Dispose();
    }

    private Task StopAfterDependentsAsync(IResource resource, Dictionary<IResource, Task> stops)
    {
        if (stops.TryGetValue(resource, out var stop))
            return stop;
        return stops[resource] = StopAsync();

        async Task StopAsync()
        {
            await Task.WhenAll(_dependencies!.DependentsOf(resource).Select(dependent => StopAfterDependentsAsync(dependent, stops)).ToArray());
            await Task.WhenAll(_supervisors.Where(supervisor => supervisor.Instance.Resource == resource).Select(supervisor => supervisor.StopAsync()).ToArray());
        }
    }

    private Dictionary<IResource, ResourceInstance[]> AllocateEndpoints(EndpointPorts ports)
    {
        var instances = new Dictionary<IResource, ResourceInstance[]>();
        foreach (var resource in model.Resources)
        {
            var count = resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;
            var replicas = Enumerable.Range(0, count).Select(index => new ResourceInstance(resource, index, count, notifications)).ToArray();
            instances[resource] = replicas;
            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            {
                if (endpoint.Port is not null && count > 1)
                    throw new DistributedApplicationException($"'{resource.Name}' asks for one port ({endpoint.Name}) and {count} replicas; there is no proxy to share it.");
                foreach (var replica in replicas)
                {
                    var port = ports.Allocate($"{replica.Id}.{endpoint.Name}", endpoint.Port ?? endpoint.TargetPort);
                    replica.Endpoints[endpoint.Name] = new AllocatedEndpoint(endpoint, endpoint.IsExternal ? "localhost" : "127.0.0.1", port);
                }

                endpoint.AllocatedEndpoint = replicas[0].Endpoints[endpoint.Name];
            }
        }

        return instances;
    }

    private void Supervise(ResourceInstance instance, IInstanceLauncher launcher, ProcessRegistry registry) =>
        _supervisors.Add(new InstanceSupervisor(
            instance, launcher, token => Dependencies.WaitAsync(instance.Resource, notifications, token), registry,
            new RollingLog(paths.LogFile(instance.Id)), time, logger));

    /// <summary>Resources without a process: databases are created when their server is well, the rest are values.</summary>
    private async Task ProvideAsync(ResourceInstance instance)
    {
        var backoff = new RestartBackoff(time);
        try
        {
            await Dependencies.WaitAsync(instance.Resource, notifications, _stopping.Token);
            while (true)
            {
                try
                {
                    if (instance.Resource is PostgresDatabaseResource database)
                        await PostgresDatabases.EnsureAsync(database, _stopping.Token);
                    else if (instance.Resource is IResourceWithConnectionString connection)
                        await connection.GetConnectionStringAsync(_stopping.Token);
                    else if (instance.Resource is IValueProvider value)
                        await value.GetValueAsync(_stopping.Token);
                    instance.Set(new InstanceStatus(InstanceState.Ready));
                    return;
                }
                catch (Npgsql.NpgsqlException exception)
                {
                    instance.Set(new InstanceStatus(InstanceState.Restarting, Detail: exception.Message));
                    await Task.Delay(backoff.NextDelay(), time, _stopping.Token);
                }
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Stopping says so for everyone.
        }
        catch (Exception exception)
        {
            Log.NotProvided(logger, exception, instance.Id);
            instance.Set(new InstanceStatus(InstanceState.Failed, Detail: exception.Message));
        }
    }

    /// <summary>Shows what the search for servers is doing (it can take minutes once) in the rows that wait for it.</summary>
    private sealed class ProvisioningProgress(FleetOrchestrator orchestrator, ILogger logger) : IProgress<string>
    {
        public void Report(string value)
        {
            Log.Provisioning(logger, value);
            foreach (var instance in orchestrator.Instances.Where(instance => instance.Resource is ContainerResource && instance.Status.State == InstanceState.Starting))
                instance.Set(instance.Status with { Detail = value });
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "An earlier run left processes behind; ended {Names}")]
        public static partial void Stragglers(ILogger logger, string names);

        [LoggerMessage(Level = LogLevel.Information, Message = "Servers: {Progress}")]
        public static partial void Provisioning(ILogger logger, string progress);

        [LoggerMessage(Level = LogLevel.Error, Message = "{Resource} is not available")]
        public static partial void NotProvided(ILogger logger, Exception exception, string resource);
    }
}
