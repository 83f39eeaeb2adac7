using System.CommandLine;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Spectre.Console;

namespace Fleet.Cli.Commands;

internal static class DownCommand
{
    // Answers in flight are allowed to finish, then services and servers stop one after the other.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan StragglerGrace = TimeSpan.FromSeconds(15);

    public static Command Create(FleetPaths paths)
    {
        var command = new Command("down", "Stop the fleet in order; also cleans up after a run that was killed");
        command.SetAction((_, cancellationToken) => RunAsync(paths, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        var console = AnsiConsole.Console;
        var running = RunningFleet.Find(paths);
        if (running is not null)
        {
            console.WriteStep($"Stopping the fleet (pid {running.Pid})");
            if (!await running.StopAsync(Limit, cancellationToken))
            {
                console.WriteProblem($"It did not stop within {Limit.TotalSeconds:0} s and is killed");
                running.Kill();
            }
        }

        var ended = await new ProcessRegistry(paths.ProcessesFile).KillStragglersAsync(StragglerGrace, cancellationToken);
        if (ended.Count > 0)
            console.WriteStep($"Ended what an earlier run had left: {string.Join(", ", ended)}");
        console.WriteDone(running is null && ended.Count == 0 ? "Fleet was not running" : "Fleet is down");
        return 0;
    }
}
