using System.CommandLine;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Testing;

internal static class TestCommand
{
    public static Command Create(FleetPaths paths)
    {
        var filters = new Argument<string[]>("filter")
        {
            Description = "Parts of names of test projects or checks (format, web); default: everything",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var method = new Option<string?>("--method") { Description = "Only test methods that match, for instance *Scheduler*" };
        var command = new Command("test", "What CI runs: builds, checks and runs every test on real servers") { filters, method };
        command.SetAction((result, cancellationToken) => new TestRun(
            paths, AnsiConsole.Console, new TestOptions(result.GetValue(filters) ?? [], result.GetValue(method))).RunAsync(cancellationToken));
        return command;
    }
}
