using System.Diagnostics;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Starting;

/// <summary>Waits until every resource is ready, tells each change once, and on failure shows the end of the log that explains it.</summary>
internal sealed class ReadyWait(FleetPaths paths, IAnsiConsole console, Process appHost)
{
    private const int LogLines = 25;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(300);
    private readonly Dictionary<string, string> _told = [];

    public async Task RunAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var state = FleetState.Read(paths);
            if (state is not null)
            {
                Tell(state, clock.Elapsed);
                if (state.Resources.Count > 0 && state.Resources.All(resource => resource.IsReady))
                    return;
                if (state.Resources.FirstOrDefault(resource => resource.IsFailed) is { } failed)
                    throw new CommandException($"{failed.Name} failed. {failed.Detail}\n{Tail(failed.Name)}");
            }

            if (appHost.HasExited)
                throw new CommandException($"The AppHost ended with exit code {appHost.ExitCode}.\n{Tail("apphost")}");
            if (clock.Elapsed > limit)
                throw new CommandException(Unfinished(state, limit));
            await Task.Delay(Poll, cancellationToken);
        }
    }

    private void Tell(FleetState state, TimeSpan elapsed)
    {
        foreach (var resource in state.Resources)
        {
            if (_told.TryGetValue(resource.Name, out var last) && last == resource.State)
                continue;
            _told[resource.Name] = resource.State;
            if (resource.IsReady)
                console.WriteDone($"{resource.Name} ({elapsed.TotalSeconds:0.0} s)");
            else if (resource.State is "Restarting" or "Failed")
                console.WriteProblem($"{resource.Name}: {resource.State} {resource.Detail}");
        }
    }

    private string Unfinished(FleetState? state, TimeSpan limit)
    {
        var late = state?.Resources.Where(resource => !resource.IsReady).ToList() ?? [];
        if (late.Count == 0)
            return $"The fleet was not ready after {limit.TotalSeconds:0} s.\n{Tail("apphost")}";
        // The first one that is not itself waiting for another is the one to look at.
        var cause = late.FirstOrDefault(resource => resource.State != "Waiting") ?? late[0];
        var names = string.Join(", ", late.Select(resource => $"{resource.Name} ({resource.State})"));
        return $"Not ready after {limit.TotalSeconds:0} s: {names}.\n{Tail(cause.Name)}";
    }

    private string Tail(string resource)
    {
        var file = paths.LogFile(resource);
        return File.Exists(file)
            ? $"The end of {file}:\n" + string.Join('\n', LogTail.Last(file, LogLines).Select(line => "  " + line))
            : $"It left no log in {paths.Logs}.";
    }
}
