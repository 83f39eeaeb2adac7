using Fleet.Knowledge.Clients;
using Fleet.Knowledge.Telemetry;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Ingestion;

/// <summary>Takes documents from the queue, a few at a time, until the process stops.</summary>
internal sealed partial class IngestionWorker(
    IngestionJobs jobs, IngestionSignals signals, IServiceScopeFactory scopes, KnowledgeMetrics metrics, TimeProvider time,
    IOptions<IngestionOptions> options, ILogger<IngestionWorker> logger) : BackgroundService
{
    private static readonly TimeSpan ReleasePatience = TimeSpan.FromSeconds(5);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Enumerable.Range(0, options.Value.Concurrency).Select(_ => WorkAsync(stoppingToken)));

    private async Task WorkAsync(CancellationToken stoppingToken)
    {
        using var wake = signals.WatchJobs();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await jobs.ClaimAsync(stoppingToken) is { } job)
                    await ProcessAsync(job, stoppingToken);
                else
                    await wake.WaitAsync(options.Value.PollInterval, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // PostgreSQL away, most likely: the lease runs out by itself and the loop goes on.
                Log.WorkInterrupted(logger, exception);
                await Task.Delay(options.Value.PollInterval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ProcessAsync(IngestionJob job, CancellationToken stoppingToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var store = scope.ServiceProvider.GetRequiredService<IngestionStore>();
        if (await store.LoadAsync(job.DocumentId, stoppingToken) is not { } source)
            return;

        var started = time.GetTimestamp();
        var outcome = "indexed";
        try
        {
            // A document that takes its worker down with it comes back here; it must not do so for ever.
            if (job.Attempt > options.Value.MaxAttempts)
                throw new UnreadableDocumentException("Ingestion was interrupted too often. Please try again, or upload the file in parts.");

            await scope.ServiceProvider.GetRequiredService<DocumentIngestion>().RunAsync(job, source, stoppingToken);
            Log.Indexed(logger, job.DocumentId, time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (LeaseLostException)
        {
            outcome = "lost";
            Log.LeaseLost(logger, job.DocumentId);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            outcome = "released";
            using var patience = new CancellationTokenSource(ReleasePatience);
            await jobs.ReleaseAsync(job, patience.Token);
        }
        catch (UnreadableDocumentException exception)
        {
            outcome = "failed";
            Log.Failed(logger, job.DocumentId, job.Attempt);
            await FailAsync(store, job, source, exception.Message, stoppingToken);
        }
        catch (Exception exception) when (job.Attempt >= options.Value.MaxAttempts)
        {
            outcome = "failed";
            Log.GivenUp(logger, exception, job.DocumentId, job.Attempt);
            var reason = exception is EmbeddingsUnavailableException
                ? "The embedding model did not answer. Please try again later."
                : "Something went wrong on our side. Please try again later.";
            await FailAsync(store, job, source, reason, stoppingToken);
        }
        catch (Exception exception)
        {
            outcome = "postponed";
            var delay = DelayAfter(job.Attempt);
            Log.Postponed(logger, exception, job.DocumentId, job.Attempt, delay.TotalSeconds);
            await jobs.PostponeAsync(job, delay, exception.GetType().Name, stoppingToken);
        }

        metrics.Ingested(outcome, time.GetElapsedTime(started));
    }

    private static async Task FailAsync(
        IngestionStore store, IngestionJob job, IngestionSource source, string reason, CancellationToken cancellationToken)
    {
        try
        {
            await store.FailAsync(job, source, reason, cancellationToken);
        }
        catch (LeaseLostException)
        {
            // Deleted or asked for again meanwhile: its failure is nobody's news.
        }
    }

    private TimeSpan DelayAfter(int attempt)
    {
        var delay = options.Value.RetryDelay * Math.Pow(2, Math.Min(attempt - 1, 20));
        return delay < options.Value.MaxRetryDelay ? delay : options.Value.MaxRetryDelay;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Document {DocumentId} indexed in {Milliseconds:F0} ms")]
        public static partial void Indexed(ILogger logger, Guid documentId, double milliseconds);

        [LoggerMessage(LogLevel.Information, "Document {DocumentId} cannot be indexed (attempt {Attempt}); its uploader is told why")]
        public static partial void Failed(ILogger logger, Guid documentId, int attempt);

        [LoggerMessage(LogLevel.Error, "Document {DocumentId} given up after {Attempt} attempts")]
        public static partial void GivenUp(ILogger logger, Exception exception, Guid documentId, int attempt);

        [LoggerMessage(LogLevel.Warning, "Document {DocumentId}: attempt {Attempt} failed, next in {Seconds:F1} s")]
        public static partial void Postponed(ILogger logger, Exception exception, Guid documentId, int attempt, double seconds);

        [LoggerMessage(LogLevel.Information, "Document {DocumentId} was taken over, deleted or asked for again while in work")]
        public static partial void LeaseLost(ILogger logger, Guid documentId);

        [LoggerMessage(LogLevel.Warning, "Ingestion was interrupted; it goes on by itself")]
        public static partial void WorkInterrupted(ILogger logger, Exception exception);
    }
}
