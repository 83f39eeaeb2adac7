using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Fleet.Inference.Native;

/// <summary>A note for operators, not a condition of readiness: without the libraries the built-in engines still answer.</summary>
internal sealed class NativeLibrariesCheck(NativeLibraries libraries) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(libraries.Unavailable is { } reason ? HealthCheckResult.Degraded(reason) : HealthCheckResult.Healthy($"llama.cpp {libraries.Version}"));
}
