using System.Diagnostics;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Spectre.Console;

namespace Fleet.Cli.Testing;

/// <summary>One <c>tests/*Tests</c> project, run by its own executable; what fails is printed as it happens.</summary>
internal sealed class TestProject(string name, FleetPaths paths, IAnsiConsole console)
{
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

        var (exitCode, timedOut) = await RunProcessAsync(start, cancellationToken);
        var left = await registry.KillStragglersAsync(LeftoverGrace, CancellationToken.None);
        if (timedOut)
            return TestReport.Broken(Name, clock.Elapsed, $"it ran longer than {Limit.TotalMinutes:0} minutes and was killed");
        var read = TestReport.Read(Name, report, exitCode, clock.Elapsed);
        // With a pattern, most projects have nothing that matches.
        return options.Method is not null && read is { Passed: 0, Problem: "it ran no tests" } ? read with { Failed = 0, Problem = null } : read;
    }

    private async Task<(int ExitCode, bool TimedOut)> RunProcessAsync(ProcessStartInfo start, CancellationToken cancellationToken)
    {
        using var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Print(line.Data);
        process.ErrorDataReceived += (_, line) => Print(line.Data);
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

    private void Print(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
            console.WritePlain("  " + line);
    }
}
