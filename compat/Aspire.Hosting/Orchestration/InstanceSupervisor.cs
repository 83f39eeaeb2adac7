using Fleet.Provisioning.Processes;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Keeps one instance running: waits for its dependencies, starts it, watches its health, starts it again with growing pauses when it
/// ends, and stops it when told. Only <see cref="RunAsync"/>'s loop touches the process.
/// </summary>
internal sealed partial class InstanceSupervisor(
    ResourceInstance instance, IInstanceLauncher launcher, Func<CancellationToken, Task> waitForDependencies, ProcessRegistry registry,
    RollingLog log, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan ProbeUntilHealthy = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ProbeWhenHealthy = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly RestartBackoff _backoff = new(time);
    private CancellationTokenSource? _stopping;
    private Task _run = Task.CompletedTask;
    private int _restarts;

    public ResourceInstance Instance { get; } = instance;

    public string LogFile => log.Path;

    public void Start()
    {
        lock (_gate)
        {
            if (_stopping is not null)
                return;
            _stopping = new CancellationTokenSource();
            _run = RunAsync(_stopping.Token);
        }
    }

    public async Task StopAsync()
    {
        CancellationTokenSource? stopping;
        Task run;
        lock (_gate)
            (stopping, run, _stopping) = (_stopping, _run, null);
        if (stopping is null)
            return;
        await stopping.CancelAsync();
        await run;
        stopping.Dispose();
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        _restarts++;
        Start();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        log.Dispose();
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        // Start() holds a lock and callers expect it to return at once.
        await Task.Yield();
        try
        {
            Set(InstanceState.Waiting);
            await waitForDependencies(stopping);
            while (await RunOnceAsync(stopping))
            {
                var delay = _backoff.NextDelay();
                Log.Restarting(logger, Instance.Id, delay.TotalSeconds);
                await Task.Delay(delay, time, stopping);
                _restarts++;
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            Set(InstanceState.Stopped);
        }
        catch (Exception exception)
        {
            Log.Failed(logger, exception, Instance.Id);
            log.WriteLine($"[fleet] {exception.Message}");
            Set(InstanceState.Failed, detail: exception.Message);
        }
    }

    /// <summary>Starts the process and sees it to its end; true when it is to be started again.</summary>
    private async Task<bool> RunOnceAsync(CancellationToken stopping)
    {
        Set(InstanceState.Starting);
        LaunchPlan plan;
        ManagedProcess process;
        try
        {
            plan = await launcher.PrepareAsync(Instance, stopping);
            log.WriteLine($"[fleet] {time.GetUtcNow():O} starting {Instance.Id}");
            process = ManagedProcess.Start(Instance.Id, plan, registry, log);
        }
        catch (Exception exception) when (exception is not OperationCanceledException and not DistributedApplicationException)
        {
            log.WriteLine($"[fleet] start failed: {exception.Message}");
            Set(InstanceState.Restarting, detail: exception.Message);
            return true;
        }

        var startedAt = time.GetUtcNow();
        Set(InstanceState.Running, process.Id, startedAt);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var watching = WatchHealthAsync(plan, process.Id, startedAt, ended.Token);
        try
        {
            var exitCode = await process.WhenExited.WaitAsync(stopping);
            await EndWatchingAsync(ended, watching);
            if (plan.MayFinish && exitCode == 0)
            {
                Set(InstanceState.Finished, exitCode: exitCode);
                return false;
            }

            var detail = $"ended with {Describe(exitCode)} after {(time.GetUtcNow() - startedAt).TotalSeconds:0.0} s";
            Log.Ended(logger, Instance.Id, detail);
            log.WriteLine($"[fleet] {time.GetUtcNow():O} {Instance.Id} {detail}");
            Set(InstanceState.Restarting, exitCode: exitCode, detail: detail);
            return true;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            await EndWatchingAsync(ended, watching);
            await process.StopAsync();
            throw;
        }
    }

    private async Task WatchHealthAsync(LaunchPlan plan, int processId, DateTimeOffset startedAt, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var healthy = plan.IsHealthyAsync is null || await plan.IsHealthyAsync(cancellationToken);
            if (cancellationToken.IsCancellationRequested)
                return;
            var state = healthy ? InstanceState.Ready : InstanceState.Running;
            if (Instance.Status.State != state)
                Set(state, processId, startedAt);
            if (healthy)
                _backoff.Healthy();
            else
                _backoff.Unhealthy();
            await Task.Delay(healthy ? ProbeWhenHealthy : ProbeUntilHealthy, time, cancellationToken);
        }
    }

    private static async Task EndWatchingAsync(CancellationTokenSource ended, Task watching)
    {
        await ended.CancelAsync();
        try
        {
            await watching;
        }
        catch (OperationCanceledException)
        {
            // Asked for just above.
        }
    }

    private static string Describe(int exitCode)
    {
        const int Signalled = 128;
        return exitCode is > Signalled and < Signalled + 64 ? $"signal {exitCode - Signalled}" : $"exit code {exitCode}";
    }

    private void Set(InstanceState state, int? processId = null, DateTimeOffset? startedAt = null, int? exitCode = null, string? detail = null) =>
        Instance.Set(new InstanceStatus(state, processId, _restarts, exitCode, detail, startedAt));

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "{Resource} {Detail}")]
        public static partial void Ended(ILogger logger, string resource, string detail);

        [LoggerMessage(Level = LogLevel.Information, Message = "{Resource} is started again in {Seconds} s")]
        public static partial void Restarting(ILogger logger, string resource, double seconds);

        [LoggerMessage(Level = LogLevel.Error, Message = "{Resource} cannot be run")]
        public static partial void Failed(ILogger logger, Exception exception, string resource);
    }
}
