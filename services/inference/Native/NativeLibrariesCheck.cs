using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Fleet.Inference.Native;

/// <summary>A note beside readiness, not a condition of it (degraded answers 200): without the libraries the built-in engines still work.</summary>
internal sealed class NativeLibrariesCheck(NativeLibraries libraries) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(libraries.Unavailable is { } reason ? HealthCheckResult.Degraded(reason) : HealthCheckResult.Healthy($"llama.cpp {libraries.Version}"));
}
