using System.Diagnostics;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Hosting;
using Spectre.Console;

namespace Aspire.Hosting.Orchestration;

/// <summary>What the terminal shows while the fleet runs: a live table, or one line per change where there is no terminal.</summary>
internal sealed class StatusScreen(
    FleetOrchestrator orchestrator, ResourceNotificationService notifications, OrchestrationOptions options, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The host waits for the first asynchronous step; the screen is not worth waiting for.
        await Task.Yield();
        if (!options.ShowStatus)
            return;
        try
        {
            if (Console.IsOutputRedirected)
                await WriteLinesAsync(stoppingToken);
            else
                await AnsiConsole.Live(Table()).StartAsync(screen => RefreshAsync(screen, stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private async Task RefreshAsync(LiveDisplayContext screen, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Refresh, time);
        do
        {
            screen.UpdateTarget(Table());
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    private async Task WriteLinesAsync(CancellationToken cancellationToken)
    {
        var shown = new Dictionary<string, InstanceState>();
        await foreach (var update in notifications.WatchAsync(cancellationToken))
        {
            if (orchestrator.Instances.FirstOrDefault(instance => instance.Id == update.ResourceId) is not { } instance)
                continue;
            var status = instance.Status;
            if (shown.TryGetValue(instance.Id, out var previous) && previous == status.State)
                continue;
            shown[instance.Id] = status.State;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{time.GetLocalNow():HH:mm:ss} {instance.Id,-14} {status.State,-10} {Addresses(instance)} {status.Detail}").TrimEnd());
        }
    }

    private Table Table()
    {
        var table = new Table().Border(TableBorder.Rounded)
            .AddColumns("Name", "State", "Health", "Endpoint", "PID", "Restarts", "Up", "Memory");
        foreach (var instance in orchestrator.Instances.Where(instance => instance.Kind is not ("connection" or "parameter")))
        {
            var status = instance.Status;
            table.AddRow(
                Markup.Escape(instance.Id),
                $"[{Colour(status.State)}]{status.State}[/]",
                instance.Health,
                Markup.Escape(Addresses(instance)),
                status.ProcessId?.ToString(CultureInfo.InvariantCulture) ?? "",
                status.Restarts == 0 ? "" : status.Restarts.ToString(CultureInfo.InvariantCulture),
                status.StartedAt is { } startedAt ? Duration(time.GetUtcNow() - startedAt) : "",
                status.ProcessId is { } pid ? Memory(pid) : Markup.Escape(Shorten(status.Detail)));
        }

        return table;
    }

    private static string Addresses(ResourceInstance instance) => instance.Endpoints.Count == 0
        ? ""
        : string.Join(' ', instance.Endpoints.OrderByDescending(endpoint => endpoint.Key == "http").Take(1).Select(endpoint => endpoint.Value.UriString));

    private static string Colour(InstanceState state) => state switch
    {
        InstanceState.Ready or InstanceState.Finished => "green",
        InstanceState.Failed or InstanceState.Restarting => "red",
        InstanceState.Stopped => "grey",
        _ => "yellow",
    };

    private static string Duration(TimeSpan span) =>
        span.ToString(span.TotalHours >= 1 ? @"d\.hh\:mm\:ss" : @"mm\:ss", CultureInfo.InvariantCulture);

    private static string Memory(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return string.Create(CultureInfo.InvariantCulture, $"{process.WorkingSet64 / (1024.0 * 1024):0} MB");
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            return "";
        }
    }

    private static string Shorten(string? detail) => detail is { Length: > 40 } ? detail[..40] + "…" : detail ?? "";
}
