using System.Globalization;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Spectre.Console;

namespace Fleet.Cli.Testing;

/// <summary>
/// One run of everything: build, checks, then every test project in turn against fresh servers. The last line of the output is
/// <c>N passed, N failed</c> on every path, because machines read it.
/// </summary>
internal sealed class TestRun(FleetPaths paths, IAnsiConsole console, TestOptions options)
{
    private readonly List<TestReport> _reports = [];

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        // Beside, not inside, what ./fleet up uses: both may run at once.
        var state = new FleetPaths(paths.Root, Path.Combine(paths.State, "test"));
        state.CreateDirectories();
        try
        {
            await RunAllAsync(state, cancellationToken);
        }
        catch (Exception exception) when (exception is ProvisioningException or CommandException)
        {
            Record(TestReport.Broken("servers", TimeSpan.Zero, exception.Message));
        }

        return Summarise();
    }

    private async Task RunAllAsync(FleetPaths state, CancellationToken cancellationToken)
    {
        var projects = TestProject.Find(paths).Where(options.Wants).ToList();
        var checks = new SourceChecks(paths);
        if (projects.Count == 0 && options.Filters.Count > 0 && !options.Wants("format") && !options.Wants("web"))
            throw new CommandException($"Nothing is named like {string.Join(" or ", options.Filters)}.");

        if (projects.Count > 0 || options.Wants("format"))
        {
            console.WriteStep("Building Fleet.sln ...");
            var build = await checks.BuildAsync(cancellationToken);
            Record(build);
            if (build.Failed > 0)
                return;
        }

        if (options.Wants("format"))
            Record(await checks.FormatAsync(cancellationToken));
        if (options.Wants("web"))
        {
            await foreach (var report in checks.WebAsync(cancellationToken))
                Record(report);
        }

        if (projects.Count == 0)
            return;
        await new NativeLibraries(paths.Cache).EnsureAsync(NativeLibraries.DefaultFlavour, console.StepProgress(), cancellationToken);
        await new ChatShim(paths.Cache).TryEnsureAsync(NativeLibraries.DefaultFlavour, console.StepProgress(), cancellationToken);
        var noBrowser = projects.Contains(TestBrowser.Project) ? await TestBrowser.EnsureAsync(console, cancellationToken) : null;
        await using var servers = await TestServers.StartAsync(state, console, cancellationToken);
        var environment = new Dictionary<string, string>(servers.ConnectionStrings) { [TestBrowser.RequiredVariable] = "1" };
        foreach (var name in projects)
        {
            console.WriteStep(name);
            Record(name == TestBrowser.Project && noBrowser is not null
                ? TestReport.NotRun(name, noBrowser)
                : await new TestProject(name, paths).RunAsync(options, state, environment, cancellationToken));
        }
    }

    private void Record(TestReport report)
    {
        _reports.Add(report);
        var counts = string.Create(CultureInfo.InvariantCulture, $"{report.Name}: {report.Passed} passed, {report.Failed} failed ({report.Duration.TotalSeconds:0.0} s)");
        if (report.Failed == 0)
            console.WriteDone(counts);
        else
            console.WriteProblem(report.Problem is null ? counts : $"{counts}\n{report.Problem}");
    }

    private int Summarise()
    {
        foreach (var skipped in _reports.SelectMany(report => report.Skipped))
            console.WriteStep($"skipped: {skipped.Name}: {skipped.Reason}");

        var table = new Table().Border(TableBorder.Rounded).AddColumns("project", "passed", "failed", "skipped", "seconds");
        foreach (var column in table.Columns.Skip(1))
            column.Alignment = Justify.Right;
        foreach (var report in _reports)
        {
            table.AddRow(
                new Text(report.Name, new Style(report.Failed == 0 ? Color.Green : Color.Red)),
                new Text($"{report.Passed}"),
                new Text($"{report.Failed}"),
                new Text($"{report.Skipped.Count}"),
                new Text(report.Duration.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture)));
        }

        console.Write(table);
        var failed = _reports.Sum(report => report.Failed);
        console.WritePlain($"{_reports.Sum(report => report.Passed)} passed, {failed} failed");
        return failed == 0 ? 0 : 1;
    }
}
