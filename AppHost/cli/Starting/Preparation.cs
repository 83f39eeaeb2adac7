using System.Diagnostics;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;
using Fleet.Provisioning.Servers;
using Spectre.Console;

namespace Fleet.Cli.Starting;

/// <summary>What has to be there before the AppHost can start: each step says what it does and is quick when there is nothing to do.</summary>
internal sealed class Preparation(FleetPaths paths, IAnsiConsole console)
{
    private readonly IProgress<string> _progress = console.StepProgress();

    public async Task ProvideServersAsync(CancellationToken cancellationToken)
    {
        if (ConnectionStrings.AllSet)
        {
            console.WriteStep("Using the servers of the connection strings that are set");
            return;
        }

        var servers = await ServerLocator.LocateAsync(_progress, cancellationToken);
        console.WriteStep($"Servers: {servers.Source}. {servers.Why}");
    }

    public async Task ProvideNativeLibrariesAsync(CancellationToken cancellationToken)
    {
        await new NativeLibraries(paths.Cache).EnsureAsync(NativeLibraries.DefaultFlavour, _progress, cancellationToken);
        await new ChatShim(paths.Cache).TryEnsureAsync(NativeLibraries.DefaultFlavour, _progress, cancellationToken);
    }

    public async Task BuildWebAsync(CancellationToken cancellationToken)
    {
        var web = new WebApp(paths);
        if (!web.Exists || !web.HasChanged)
            return;
        await DoAsync("Building the web app", () => web.BuildAsync(cancellationToken));
    }

    public Task BuildAppHostAsync(CancellationToken cancellationToken) => DoAsync("Building the services", async () =>
    {
        var result = await Tool.RunAsync(
            "dotnet",
            ["build", AppHostProcess.Project, "-c", "Release", "-v", "q", "-nodeReuse:false", "-clp:NoSummary", "--nologo"],
            cancellationToken,
            paths.Root);
        if (!result.Succeeded)
            throw new CommandException($"The fleet does not build:\n{BuildErrors.Of(result)}");
    });

    private async Task DoAsync(string what, Func<Task> action)
    {
        var clock = Stopwatch.StartNew();
        console.WriteStep($"{what} ...");
        await action();
        console.WriteDone($"{what} ({clock.Elapsed.TotalSeconds:0} s)");
    }
}
