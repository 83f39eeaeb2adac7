using System.Diagnostics;
using Fleet.Cli.Commands;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Starting;

/// <summary>The state of every resource while the fleet runs in the foreground; without a terminal, one line per change.</summary>
internal static class LiveTable
{
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(1);

    /// <summary>Returns when the AppHost ended by itself.</summary>
    public static Task ShowAsync(IAnsiConsole console, FleetPaths paths, Process appHost, CancellationToken cancellationToken) =>
        console.Profile.Out.IsTerminal
            ? console.Live(Current(paths)).StartAsync(screen => LoopAsync(() => screen.UpdateTarget(Current(paths)), appHost, cancellationToken))
            : LoopAsync(Changes(console, paths), appHost, cancellationToken);

    private static async Task LoopAsync(Action show, Process appHost, CancellationToken cancellationToken)
    {
        while (!appHost.HasExited)
        {
            show();
            await Task.Delay(Refresh, cancellationToken);
        }
    }

    private static Table Current(FleetPaths paths) => FleetState.Read(paths) is { } state
        ? StatusCommand.Table(state, brief: true).Caption("Ctrl-C stops the fleet")
        : new Table();

    private static Action Changes(IAnsiConsole console, FleetPaths paths)
    {
        var told = FleetState.Read(paths)?.Resources.ToDictionary(resource => resource.Name, resource => resource.State) ?? [];
        return () =>
        {
            foreach (var resource in FleetState.Read(paths)?.Resources ?? [])
            {
                if (told.GetValueOrDefault(resource.Name) == resource.State)
                    continue;
                told[resource.Name] = resource.State;
                console.WriteStep($"{resource.Name}: {resource.State} {resource.Detail}".TrimEnd());
            }
        };
    }
}
