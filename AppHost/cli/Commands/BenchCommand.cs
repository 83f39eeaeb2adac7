using System.CommandLine;
using System.Diagnostics;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Commands;

/// <summary>Builds <c>tests/Benchmarks</c> in Release and hands over to it: what it prints is the answer.</summary>
internal static class BenchCommand
{
    private const string Project = "tests/Benchmarks/Fleet.Benchmarks.csproj";

    public static Command Create(FleetPaths paths)
    {
        var name = new Argument<string>("name") { Description = "Which benchmark; list shows them" };
        var json = new Option<bool>("--json") { Description = "Print one JSON object and nothing else" };
        var command = new Command("bench", "Measure side by side with the anchors") { name, json };
        // A benchmark knows its own options: inference has --rows, --quick, --markdown, --reference and more.
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => RunAsync(
            paths, [result.GetValue(name)!, .. result.GetValue(json) ? ["--json"] : Array.Empty<string>(), .. result.UnmatchedTokens], cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(paths.Root, Project)))
            throw new CommandException($"There are no benchmarks in this clone ({Project}).");
        var build = await Tool.RunAsync(
            "dotnet", ["build", Project, "-c", "Release", "-v", "q", "-nodeReuse:false", "-clp:NoSummary", "--nologo"], cancellationToken, paths.Root);
        if (!build.Succeeded)
            throw new CommandException($"The benchmarks do not build:\n{build.Tail()}");

        var program = Path.Combine(paths.Root, "artifacts/bin/Fleet.Benchmarks/release/Fleet.Benchmarks.dll");
        using var process = Process.Start("dotnet", [program, .. arguments]);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode;
    }
}
