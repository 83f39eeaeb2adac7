using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Chat.Runs;

/// <summary>Finds runs whose owner died or gave them back, and takes them up here.</summary>
internal sealed partial class RunRecoveryWorker(RunQueue queue, IServiceScopeFactory scopes, IOptions<RunOptions> options, TimeProvider time,
    ILogger<RunRecoveryWorker> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.RecoveryInterval, time);
        try
        {
            do
            {
                try
                {
                    await RecoverAsync(stoppingToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
                {
                    Log.Failed(logger, exception.GetType().Name);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // Shutting down.
        }
    }

    private async Task RecoverAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var orphans = await scope.ServiceProvider.GetRequiredService<RunStore>()
            .FindOrphansAsync(options.Value.LeaseDuration, cancellationToken).ConfigureAwait(false);
        foreach (var runId in orphans)
        {
            if (!queue.TryEnter()) return;
            Log.TakenUp(logger, runId);
            queue.Enqueue(new RunWork(runId, BearerToken: null));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Run {RunId} has no living owner; taking it up")]
        public static partial void TakenUp(ILogger logger, Guid runId);

        [LoggerMessage(LogLevel.Warning, "Looking for orphaned runs failed: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
