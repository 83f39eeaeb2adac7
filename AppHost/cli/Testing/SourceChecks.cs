using System.Diagnostics;
using Fleet.Cli.Starting;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Testing;

/// <summary>The checks that are not test projects: the build itself, formatting, the web app's own.</summary>
internal sealed class SourceChecks(FleetPaths paths)
{
    private static readonly string[] Quiet = ["-v", "q", "-nodeReuse:false", "-clp:NoSummary", "--nologo"];

    public async Task<TestReport> BuildAsync(CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var result = await Tool.RunAsync("dotnet", ["build", "Fleet.sln", .. Quiet], cancellationToken, paths.Root);
        return TestReport.Check("build", clock.Elapsed, result.Succeeded ? null : BuildErrors.Of(result));
    }

    public Task<TestReport> FormatAsync(CancellationToken cancellationToken) =>
        CheckAsync("format", "dotnet", ["format", "Fleet.sln", "--verify-no-changes", "--no-restore"], paths.Root, cancellationToken);

    /// <summary>One check per script that the web app's package has: types, lint, unit tests.</summary>
    public async IAsyncEnumerable<TestReport> WebAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var web = new WebApp(paths);
        if (!web.Exists)
            yield break;
        TestReport? broken = null;
        try
        {
            await web.InstallAsync(cancellationToken);
        }
        catch (CommandException exception)
        {
            broken = TestReport.Broken("web install", TimeSpan.Zero, exception.Message);
        }

        if (broken is not null)
        {
            yield return broken;
            yield break;
        }

        yield return await CheckAsync("web types", "npx", ["--no-install", "tsc", "--noEmit", "-p", "."], web.Folder, cancellationToken);
        foreach (var script in (string[])["lint", "test"])
        {
            if (web.HasScript(script))
                yield return await CheckAsync($"web {script}", "npm", ["run", script], web.Folder, cancellationToken, ("CI", "true"));
        }
    }

    private static async Task<TestReport> CheckAsync(
        string name, string program, string[] arguments, string folder, CancellationToken cancellationToken, params (string Name, string Value)[] environment)
    {
        var clock = Stopwatch.StartNew();
        var result = await Tool.RunAsync(
            program, arguments, cancellationToken, folder, environment.ToDictionary(variable => variable.Name, variable => variable.Value));
        return TestReport.Check(name, clock.Elapsed, result.Succeeded ? null : result.Tail(60));
    }
}
