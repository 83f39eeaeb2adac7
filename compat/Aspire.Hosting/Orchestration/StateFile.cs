using System.Threading.Channels;
using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning;

namespace Aspire.Hosting.Orchestration;

/// <summary>Keeps <c>run/state.json</c> and <c>endpoints.json</c> true, for <c>./fleet status</c> and for people with a text editor.</summary>
internal sealed class StateFile(FleetPaths paths, ResourceNotificationService notifications, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private readonly DateTimeOffset _startedAt = time.GetUtcNow();
    private Task _writing = Task.CompletedTask;
    private FleetOrchestrator? _orchestrator;

    public void Begin(FleetOrchestrator orchestrator)
    {
        _orchestrator = orchestrator;
        AtomicFile.WriteJson(paths.EndpointsFile, orchestrator.Instances
            .Where(instance => instance.Endpoints.Count > 0)
            .ToDictionary(instance => instance.Id, Addresses));
        _writing = WriteOnChangeAsync();
    }

    public async Task EndAsync()
    {
        await _ending.CancelAsync();
        await _writing;
        // A start that was refused before it began has nothing to tell.
        if (_orchestrator is not null)
            Write();
    }

    public void Dispose() => _ending.Dispose();

    private async Task WriteOnChangeAsync()
    {
        // Many changes at once become one write: the file is written from the present, not from the change.
        var changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        var watching = WatchAsync(changed.Writer);
        try
        {
            await foreach (var _ in changed.Reader.ReadAllAsync(_ending.Token))
                Write();
        }
        catch (OperationCanceledException)
        {
            await watching;
        }
    }

    private async Task WatchAsync(ChannelWriter<bool> changed)
    {
        try
        {
            await foreach (var _ in notifications.WatchAsync(_ending.Token))
                changed.TryWrite(true);
        }
        catch (OperationCanceledException)
        {
            // The end of the run.
        }
    }

    private void Write() => AtomicFile.WriteJson(paths.StateFile, new
    {
        startedAt = _startedAt,
        pid = Environment.ProcessId,
        resources = _orchestrator!.Instances.Select(instance =>
        {
            var status = instance.Status;
            return new
            {
                name = instance.Id,
                kind = instance.Kind,
                state = status.State.ToString(),
                health = instance.Health,
                pid = status.ProcessId,
                restarts = status.Restarts,
                startedAt = status.StartedAt,
                endpoints = Addresses(instance),
                logFile = instance.Resource is ProjectResource or ExecutableResource or ContainerResource ? paths.LogFile(instance.Id) : null,
                detail = status.Detail,
            };
        }),
    });

    private static Dictionary<string, string> Addresses(ResourceInstance instance) =>
        instance.Endpoints.ToDictionary(endpoint => endpoint.Key, endpoint => endpoint.Value.UriString);
}
