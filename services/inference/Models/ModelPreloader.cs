using Fleet.Inference.Engine;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Loads the models that are to be there from the start, a few at a time. One that fails does not keep the others, or the service, from starting.</summary>
internal sealed partial class ModelPreloader(ModelHost models, IOptions<ModelsOptions> options, ILogger<ModelPreloader> logger) : BackgroundService
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waiting = options.Value.Models.Count(model => model.Value.Preload);

    /// <summary>Models not yet loaded nor given up.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Ends when every model was tried.</summary>
    public Task Done => _done.Task;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var wanted = options.Value.Models.Where(model => model.Value.Preload).Select(model => model.Key).Order(StringComparer.Ordinal);
        await Parallel.ForEachAsync(wanted, new ParallelOptions { MaxDegreeOfParallelism = options.Value.PreloadConcurrency, CancellationToken = stoppingToken }, LoadAsync);
        _done.TrySetResult();
    }

    private async ValueTask LoadAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            // Failures are logged and kept by the host.
            await foreach (var _ in models.LoadAsync(models.IdOf(id), cancellationToken))
            {
            }
        }
        catch (EngineException exception)
        {
            Log.NotPreloaded(logger, id, exception.Message);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Model {Model} could not be loaded at start: {Reason}")]
        public static partial void NotPreloaded(ILogger logger, string model, string reason);
    }
}

/// <summary>Not ready before the models that are to be there from the start are there, or are known not to come.</summary>
internal sealed class ModelPreloadCheck(ModelPreloader preloader) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(preloader.Waiting is > 0 and var waiting ? HealthCheckResult.Unhealthy($"{waiting} models are still being loaded.") : HealthCheckResult.Healthy());
}
