using System.Diagnostics;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Testing;

/// <summary>One <c>tests/*Tests</c> project, run by its own executable with its output in a log.</summary>
internal sealed class TestProject(string name, FleetPaths paths)
{
    private const int LogLines = 30;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan LeftoverGrace = TimeSpan.FromSeconds(5);

    public string Name { get; } = name;

    public static IEnumerable<string> Find(FleetPaths paths) => Directory.GetDirectories(Path.Combine(paths.Root, "tests"))
        .SelectMany(folder => Directory.GetFiles(folder, "*Tests.csproj"))
        .Select(file => Path.GetFileNameWithoutExtension(file))
        .Order(StringComparer.Ordinal);

    public async Task<TestReport> RunAsync(
        TestOptions options, FleetPaths state, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var program = Path.Combine(paths.Root, "artifacts/bin", Name, "debug", Name + ".dll");
        var report = Path.Combine(state.State, "reports", Name + ".xml");
        Directory.CreateDirectory(Path.GetDirectoryName(report)!);
        File.Delete(report);
        if (!File.Exists(program))
            return TestReport.Broken(Name, clock.Elapsed, $"it was not built; is it in Fleet.sln? ({program})");

        var start = new ProcessStartInfo("dotnet", [program, "-noLogo", "-noColor", "-reporter", "quiet", "-xml", report])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = paths.Root,
        };
        if (options.Method is { } method)
        {
            start.ArgumentList.Add("-method");
            start.ArgumentList.Add(method);
        }

        foreach (var (variable, value) in environment)
            start.Environment[variable] = value;
        // A fleet that a test starts has its own state; the one that may be running here is none of its business.
        start.Environment[FleetPaths.StateVariable] = Path.Combine(state.State, "fleet");
        var registry = new ProcessRegistry(Path.Combine(state.Run, "test-processes.json"));
        registry.Mark(start.Environment);

        var log = state.LogFile(Name);
        var (exitCode, timedOut) = await RunProcessAsync(start, log, cancellationToken);
        await registry.KillStragglersAsync(LeftoverGrace, CancellationToken.None);
        await EndFleetsOfTestsAsync(state);
        var read = timedOut
            ? TestReport.Broken(Name, clock.Elapsed, $"it ran longer than {Limit.TotalMinutes:0} minutes and was killed")
            : TestReport.Read(Name, report, exitCode, clock.Elapsed);
        if (read is { Failed: > 0, Passed: 0 })
            read = read with { Problem = $"{read.Problem}\nThe end of {log}:\n{string.Join('\n', LogTail.Last(log, LogLines))}" };
        // With a pattern, most projects have nothing that matches.
        return options.Method is not null && read is { Passed: 0, NothingRan: true } ? read with { Failed = 0, Problem = null } : read;
    }

    /// <summary>A test process that crashed leaves the fleet it had started, with a state directory of its own below ours.</summary>
    private static async Task EndFleetsOfTestsAsync(FleetPaths state)
    {
        foreach (var folder in Directory.GetDirectories(state.State).Where(folder => folder != state.Run))
        {
            var left = new FleetPaths(state.Root, folder);
            if (File.Exists(left.ProcessesFile))
                await new ProcessRegistry(left.ProcessesFile).KillStragglersAsync(LeftoverGrace, CancellationToken.None);
        }
    }

    private static async Task<(int ExitCode, bool TimedOut)> RunProcessAsync(
        ProcessStartInfo start, string log, CancellationToken cancellationToken)
    {
        using var process = new Process { StartInfo = start };
        await using var file = new StreamWriter(log) { AutoFlush = true };
        // Both streams' lines arrive on threads of their own, and writing is all they do.
        var output = TextWriter.Synchronized(file);
        process.OutputDataReceived += (_, line) => output.WriteLine(line.Data);
        process.ErrorDataReceived += (_, line) => output.WriteLine(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(Limit);
        try
        {
            await process.WaitForExitAsync(limited.Token);
            return (process.ExitCode, false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            return (-1, true);
        }
    }
}
