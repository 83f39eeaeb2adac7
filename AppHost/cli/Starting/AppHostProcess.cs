using System.Diagnostics;
using Fleet.Provisioning;

namespace Fleet.Cli.Starting;

internal static class AppHostProcess
{
    public const string Project = "AppHost/Fleet.AppHost.csproj";
    private const string Program = "artifacts/bin/Fleet.AppHost/release/Fleet.AppHost.dll";

    /// <summary>
    /// A session of its own, no terminal and no pipe to us: it outlives this command, and a Ctrl-C in our terminal is ours to pass on.
    /// </summary>
    public static Process Start(FleetPaths paths, UpOptions options)
    {
        const string Script = "exec dotnet \"$1\" </dev/null >>\"$2\" 2>&1";
        var log = paths.LogFile("apphost");
        File.WriteAllText(log, "");
        return Start(paths, options, new ProcessStartInfo("setsid", ["sh", "-c", Script, "sh", Path.Combine(paths.Root, Program), log]));
    }

    /// <summary>In our terminal and ended with it.</summary>
    public static Process StartAttached(FleetPaths paths, UpOptions options) =>
        Start(paths, options, new ProcessStartInfo("dotnet", [Path.Combine(paths.Root, Program)]));

    private static Process Start(FleetPaths paths, UpOptions options, ProcessStartInfo start)
    {
        start.WorkingDirectory = Path.Combine(paths.Root, Path.GetDirectoryName(Project)!);
        start.Environment[FleetPaths.RootVariable] = paths.Root;
        start.Environment["Fleet__StateDirectory"] = paths.State;
        foreach (var (name, value) in options.ToEnvironment())
            start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
