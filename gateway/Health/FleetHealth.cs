using System.Diagnostics;
using Fleet.ServiceDefaults.Http;

namespace Fleet.Gateway.Health;

/// <param name="Status">"up" when every replica is ready, "degraded" when some are, "down" when none is.</param>
internal sealed record ServiceHealth(string Status, int Ready, int Replicas, double SlowestMs);

/// <param name="Status">"up", "degraded" or "down": that of the worst service.</param>
internal sealed record FleetHealthReport(string Status, IReadOnlyDictionary<string, ServiceHealth> Services);

/// <summary>
/// Asks every replica of every service whether it is ready. An answer is shared for a second, so that anybody's polling costs
/// the services next to nothing.
/// </summary>
internal sealed class FleetHealth(HttpClient http, ServiceAddresses addresses, TimeProvider time) : IDisposable
{
    public const string Up = "up", Degraded = "degraded", Down = "down";

    private static readonly string[] Names = ["auth", "chat", "inference", "knowledge", "analytics", "notification", "web"];
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _asking = new(1, 1);
    private (FleetHealthReport Report, long At)? _last;

    public async Task<FleetHealthReport> AskAsync(CancellationToken cancellationToken)
    {
        await _asking.WaitAsync(cancellationToken);
        try
        {
            if (_last is { } last && time.GetElapsedTime(last.At) < Freshness) return last.Report;

            var services = await Task.WhenAll(Names.Select(name => AskServiceAsync(name, cancellationToken)));
            var worst = services.Select(service => service.Status).MaxBy(status => status switch { Up => 0, Degraded => 1, _ => 2 })!;
            var report = new FleetHealthReport(worst, Names.Zip(services).ToDictionary());
            _last = (report, time.GetTimestamp());
            return report;
        }
        finally
        {
            _asking.Release();
        }
    }

    private async Task<ServiceHealth> AskServiceAsync(string name, CancellationToken cancellationToken)
    {
        var replicas = addresses.TryResolve(name, "http");
        var answers = await Task.WhenAll(replicas.Select(address => AskReplicaAsync(address, cancellationToken)));
        var ready = answers.Count(answer => answer.Ready);
        return new ServiceHealth(
            ready == 0 ? Down : ready < replicas.Count ? Degraded : Up,
            ready, replicas.Count,
            answers.Length == 0 ? 0 : Math.Round(answers.Max(answer => answer.Took.TotalMilliseconds), 1));
    }

    private async Task<(bool Ready, TimeSpan Took)> AskReplicaAsync(Uri address, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(ProbeTimeout);
        try
        {
            using var response = await http.GetAsync(new Uri(address, "/health/ready"), HttpCompletionOption.ResponseHeadersRead, timeout.Token);
            return (response.IsSuccessStatusCode, Stopwatch.GetElapsedTime(started));
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return (false, Stopwatch.GetElapsedTime(started));
        }
    }

    public void Dispose() => _asking.Dispose();
}
