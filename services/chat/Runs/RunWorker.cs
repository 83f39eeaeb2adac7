using System.Collections.Concurrent;

namespace Fleet.Chat.Runs;

/// <summary>Executes this process's runs, each in a scope of its own and all at once: they wait on the engine, not on a thread.</summary>
internal sealed partial class RunWorker(RunQueue queue, IServiceScopeFactory scopes, ILogger<RunWorker> logger) : BackgroundService
{
    private readonly ConcurrentDictionary<Guid, Task> _tasks = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var work in queue.Reader.ReadAllAsync(stoppingToken).ConfigureAwait(false))
            {
                if (!queue.TryRegister(work.RunId, out var stop))
                {
                    queue.Leave();
                    continue;
                }

                var task = ExecuteOneAsync(work, stop, stoppingToken);
                _tasks[work.RunId] = task;
                // It may have ended before it was noted.
                if (task.IsCompleted) _tasks.TryRemove(work.RunId, out _);
            }
        }
        catch (OperationCanceledException)
        {
            // Shutting down: every run hands itself over now, and that is waited for.
        }

        await Task.WhenAll(_tasks.Values).ConfigureAwait(false);
    }

    private async Task ExecuteOneAsync(RunWork work, CancellationTokenSource stop, CancellationToken shutdown)
    {
        await Task.Yield();
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            await scope.ServiceProvider.GetRequiredService<RunExecutor>().ExecuteAsync(work, stop.Token, shutdown).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (shutdown.IsCancellationRequested)
        {
            // Another process takes it up.
        }
#pragma warning disable CA1031 // One run's failure ends that run only; its lease runs out and it is tried again, a bounded number of times.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.Broke(logger, work.RunId, exception);
        }
        finally
        {
            queue.Unregister(work.RunId);
            queue.Leave();
            _tasks.TryRemove(work.RunId, out _);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "Run {RunId} could not be executed; it is tried again when its lease has ended")]
        public static partial void Broke(ILogger logger, Guid runId, Exception exception);
    }
}
