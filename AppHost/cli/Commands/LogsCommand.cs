using System.CommandLine;
using Fleet.Cli.Running;
using Fleet.Provisioning;

namespace Fleet.Cli.Commands;

internal static class LogsCommand
{
    private const int DefaultLines = 50;

    public static Command Create(FleetPaths paths)
    {
        var resource = new Argument<string>("resource") { Description = "A resource's name, as ./fleet status shows it, or apphost" };
        var lines = new Option<int>("--lines", "-n") { Description = "How many lines of the past", DefaultValueFactory = _ => DefaultLines };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with what is added, until Ctrl-C" };
        var command = new Command("logs", "Show a resource's log") { resource, lines, follow };
        command.SetAction((result, cancellationToken) => RunAsync(
            paths, result.GetValue(resource)!, result.GetValue(lines), result.GetValue(follow), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        FleetPaths paths, string resource, int lines, bool follow, CancellationToken cancellationToken)
    {
        // Only names of files in the log folder: the argument is not a path.
        var known = Directory.Exists(paths.Logs)
            ? Directory.GetFiles(paths.Logs, "*.log").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal).ToList()
            : [];
        if (!known.Contains(resource))
            throw new CommandException($"There is no log of {resource}. There are: {(known.Count == 0 ? "none yet" : string.Join(", ", known))}");

        var file = paths.LogFile(resource);
        foreach (var line in LogTail.Last(file, lines))
            Console.WriteLine(line);
        if (follow)
            await LogTail.FollowAsync(file, Console.Out, cancellationToken);
        return 0;
    }
}
