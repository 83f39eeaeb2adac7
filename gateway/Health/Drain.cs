using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Fleet.Gateway.Health;

/// <summary>
/// Leaving without cutting anybody off: told to stop, the gateway says "not ready" while it still accepts, long enough for the
/// load balancer to look away; then Kestrel stops accepting and lets requests in flight end.
/// </summary>
internal sealed partial class Drain(IOptions<GatewayOptions> options, TimeProvider time, ILogger<Drain> logger) : IHostedLifecycleService, IHealthCheck
{
    private volatile bool _draining;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_draining ? HealthCheckResult.Unhealthy("Draining") : HealthCheckResult.Healthy());

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        if (_draining) return;

        _draining = true;
        var delay = options.Value.DrainDelay;
        if (delay == TimeSpan.Zero) return;

        Log.Draining(logger, delay.TotalSeconds);
        await Task.Delay(delay, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Draining: accepting for {Seconds} s more, reporting not ready")]
        public static partial void Draining(ILogger logger, double seconds);
    }
}
