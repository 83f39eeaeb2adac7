using System.CommandLine;
using Fleet.Cli.Running;
using Fleet.Cli.Starting;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Spectre.Console;

namespace Fleet.Cli.Commands;

/// <summary>
/// Everything from a fresh clone to a running fleet. The AppHost always runs in a session of its own with its output in a log;
/// in the foreground this command shows its state until Ctrl-C and then stops it, detached it returns once all is ready.
/// </summary>
internal static class UpCommand
{
    private const int DefaultPort = 8080;
    private static readonly TimeSpan DefaultLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan StragglerGrace = TimeSpan.FromSeconds(15);

    public static Command Create(FleetPaths paths)
    {
        var port = new Option<int>("--port") { Description = "The gateway's port", DefaultValueFactory = _ => DefaultPort };
        var detach = new Option<bool>("--detach", "-d") { Description = "Return when everything is ready; stop with: ./fleet down" };
        var chat = new Option<int>("--replicas-chat") { Description = "Processes of the chat service", DefaultValueFactory = _ => 1 };
        var inference = new Option<int>("--replicas-inference") { Description = "Processes of the inference service", DefaultValueFactory = _ => 1 };
        var limit = new Option<int>("--timeout") { Description = "Seconds until everything must be ready", DefaultValueFactory = _ => (int)DefaultLimit.TotalSeconds };
        var noBuild = new Option<bool>("--no-build") { Description = "Start what was built last" };
        var command = new Command("up", "Build and start the whole fleet") { port, detach, chat, inference, limit, noBuild };
        command.SetAction((result, cancellationToken) => RunAsync(
            paths,
            new UpOptions(
                result.GetValue(port),
                result.GetValue(detach),
                result.GetValue(chat),
                result.GetValue(inference),
                TimeSpan.FromSeconds(result.GetValue(limit)),
                Build: !result.GetValue(noBuild)),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, UpOptions options, CancellationToken cancellationToken)
    {
        var console = AnsiConsole.Console;
        paths.CreateDirectories();
        await RefuseWhenTakenAsync(console, paths, options, cancellationToken);

        var preparation = new Preparation(paths, console);
        await preparation.ProvideServersAsync(cancellationToken);
        await preparation.ProvideNativeLibrariesAsync(cancellationToken);
        if (options.Build)
        {
            await preparation.BuildWebAsync(cancellationToken);
            await preparation.BuildAppHostAsync(cancellationToken);
        }

        if (!PackageFeed.IsPartial(paths))
            return await RunUnderAspireAsync(console, paths, options, cancellationToken);

        var firstStart = !File.Exists(paths.AdminPasswordFile);
        var appHost = AppHostProcess.Start(paths, options);
        console.WriteStep($"Starting the fleet (pid {appHost.Id}, log {paths.LogFile("apphost")})");
        try
        {
            await new ReadyWait(paths, console, appHost).RunAsync(options.Limit, cancellationToken);
            Welcome.Write(console, paths, firstStart);
            if (options.Detach)
                return 0;
            await LiveTable.ShowAsync(console, paths, appHost, cancellationToken);
            throw new CommandException($"The AppHost ended by itself (exit code {appHost.ExitCode}); see ./fleet logs apphost");
        }
        catch (OperationCanceledException)
        {
            await StopAsync(console, paths);
            return 0;
        }
        catch (CommandException)
        {
            await StopAsync(console, paths);
            throw;
        }
    }

    /// <summary>With every package at hand the AppHost is the real Aspire: it shows its own dashboard and ends with this command.</summary>
    private static async Task<int> RunUnderAspireAsync(IAnsiConsole console, FleetPaths paths, UpOptions options, CancellationToken cancellationToken)
    {
        if (options.Detach)
            throw new CommandException("Aspire runs in the foreground. Leave out --detach, or start without Aspire and containers: FLEET_FEED=partial ./fleet up --detach");

        console.WriteStep($"Starting under Aspire; its dashboard's address follows. The fleet will be at http://localhost:{options.Port}, the administrator's password in {paths.AdminPasswordFile}");
        using var appHost = AppHostProcess.StartAttached(paths, options);
        try
        {
            await appHost.WaitForExitAsync(cancellationToken);
            return appHost.ExitCode;
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C in the terminal reached Aspire as well; this is for a signal sent to us alone.
            UnixProcess.Signal(appHost.Id, UnixProcess.SigTerm);
            await appHost.WaitForExitAsync(CancellationToken.None);
            return 0;
        }
    }

    private static async Task RefuseWhenTakenAsync(
        IAnsiConsole console, FleetPaths paths, UpOptions options, CancellationToken cancellationToken)
    {
        if (RunningFleet.Find(paths) is { } running)
            throw new CommandException($"Fleet is already running here (pid {running.Pid}). See ./fleet status, or stop it with ./fleet down");

        var ended = await new ProcessRegistry(paths.ProcessesFile).KillStragglersAsync(StragglerGrace, cancellationToken);
        if (ended.Count > 0)
            console.WriteStep($"Ended what a killed run had left: {string.Join(", ", ended)}");
        File.Delete(paths.StateFile);
        if (!PortAllocator.IsFree(options.Port))
            throw new CommandException($"Port {options.Port} is taken by another program. Choose another: ./fleet up --port {options.Port + 1}");
    }

    private static async Task StopAsync(IAnsiConsole console, FleetPaths paths)
    {
        console.WriteStep("Stopping the fleet");
        if (RunningFleet.Find(paths) is { } running && !await running.StopAsync(StopLimit, CancellationToken.None))
            running.Kill();
        await new ProcessRegistry(paths.ProcessesFile).KillStragglersAsync(StragglerGrace, CancellationToken.None);
        console.WriteDone("Fleet is down");
    }
}
