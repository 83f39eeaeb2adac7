using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Fleet.Web.Pages;

/// <summary>Not ready until the app was built into this program's folder.</summary>
internal sealed class BuiltPageCheck(IWebHostEnvironment environment) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(environment.WebRootFileProvider.GetFileInfo("index.html").Exists
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy("The web app is not built: run `npm ci && npm run build` in services/web/app and build again."));
}
