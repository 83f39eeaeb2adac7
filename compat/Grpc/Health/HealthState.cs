using System.Collections.Concurrent;
using Grpc.AspNetCore.HealthChecks;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Grpc.Health;

/// <summary>The last published health of each mapped service; watchers wait for it to change.</summary>
internal sealed class HealthState(IOptions<GrpcHealthChecksOptions> options) : IHealthCheckPublisher
{
    private readonly ConcurrentDictionary<string, HealthCheckResponse.Types.ServingStatus> _published = new();

    // Replaced at every change, under the lock: a watcher takes it before it reads the status, so no change is missed.
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Changed => Volatile.Read(ref _changed).Task;

    public HealthCheckResponse.Types.ServingStatus? Published(string service) =>
        _published.TryGetValue(service, out var status) ? status : null;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        var changed = false;
        foreach (var mapping in options.Value.Services)
        {
            var status = HealthServiceStatus.Of(report, entry => mapping.HealthCheckPredicate(new HealthCheckMapContext(entry.Key, entry.Value.Tags)));
            changed |= Published(mapping.Name) != status;
            _published[mapping.Name] = status;
        }

        if (changed)
            Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        return Task.CompletedTask;
    }
}

internal static class HealthServiceStatus
{
    /// <summary>Degraded still serves; a service without checks serves.</summary>
    public static HealthCheckResponse.Types.ServingStatus Of(
        HealthReport report, Func<KeyValuePair<string, HealthReportEntry>, bool> belongs) =>
        report.Entries.Any(entry => entry.Value.Status == HealthStatus.Unhealthy && belongs(entry))
            ? HealthCheckResponse.Types.ServingStatus.NotServing
            : HealthCheckResponse.Types.ServingStatus.Serving;
}
