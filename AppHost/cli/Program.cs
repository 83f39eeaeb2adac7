using System.CommandLine;
using System.Runtime.InteropServices;
using Fleet.Cli;
using Fleet.Cli.Client;
using Fleet.Cli.Commands;
using Fleet.Cli.Models;
using Fleet.Cli.Testing;
using Fleet.Provisioning;
using Spectre.Console;

using var interrupted = new CancellationTokenSource();
// The first Ctrl-C asks for an orderly end, which may take a moment; the second one gets the default, an immediate one.
using var sigint = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var sigterm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
// The terminal was closed.
using var sighup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Interrupt);

// A file or a pipe gets plain text, and lines are not broken where a narrow terminal would.
if (Console.IsOutputRedirected)
{
    const int Wide = 200;
    AnsiConsole.Console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
    AnsiConsole.Profile.Width = Wide;
}

try
{
    var paths = FleetPaths.Discover();
    var root = new RootCommand("Fleet: a self-hosted chat platform on your own models. Start with: ./fleet up")
    {
        UpCommand.Create(paths),
        DownCommand.Create(paths),
        StatusCommand.Create(paths),
        LogsCommand.Create(paths),
        DoctorCommand.Create(paths),
        ModelsCommand.Create(paths),
        AskCommand.Create(paths),
        IngestCommand.Create(paths),
        BenchCommand.Create(paths),
        TestCommand.Create(paths),
    };
    var configuration = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
    return await root.Parse(args).InvokeAsync(configuration, interrupted.Token);
}
catch (Exception exception) when (exception is ProvisioningException or CommandException)
{
    AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new AnsiConsoleOutput(Console.Error),
        Ansi = Console.IsErrorRedirected ? AnsiSupport.No : AnsiSupport.Detect,
    }).WriteProblem(exception.Message);
    return 1;
}
catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
{
    const int EndedBySigInt = 130;
    return EndedBySigInt;
}

void Interrupt(PosixSignalContext context)
{
    if (interrupted.IsCancellationRequested)
        return;
    context.Cancel = true;
    interrupted.Cancel();
}
