using System.CommandLine;
using System.Text.Json;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Commands;

internal static class StatusCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static Command Create(FleetPaths paths)
    {
        var json = new Option<bool>("--json") { Description = "Print the state as one JSON object" };
        var command = new Command("status", "Show every resource; exit code 0 when all are ready, 1 when not, 3 when nothing runs") { json };
        command.SetAction(result => Run(paths, result.GetValue(json)));
        return command;
    }

    private static int Run(FleetPaths paths, bool json)
    {
        const int NothingRuns = 3;
        var state = RunningFleet.Find(paths) is null ? null : FleetState.Read(paths);
        var console = AnsiConsole.Console;
        if (json)
            console.WritePlain(JsonSerializer.Serialize(new { running = state is not null, state }, Json));
        if (state is null)
        {
            if (!json)
                console.WriteStep("Fleet is not running here. Start it with: ./fleet up");
            return NothingRuns;
        }

        if (!json)
            console.Write(Table(state));
        return state.Resources.All(resource => resource.IsReady) ? 0 : 1;
    }

    /// <param name="state">What the AppHost last wrote.</param>
    /// <param name="brief">Fits a small terminal: processes only, one address each.</param>
    public static Table Table(FleetState state, bool brief = false)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("resource", "state", "health", "pid", "restarts", "address", "detail");
        foreach (var resource in state.Resources.Where(resource => !brief || resource.Pid is not null || !resource.IsReady))
        {
            var colour = resource.IsReady ? Color.Green : resource.IsFailed ? Color.Red : Color.Yellow;
            var addresses = resource.Endpoints?.Values.Take(brief ? 1 : int.MaxValue) ?? [];
            table.AddRow(
                new Text(resource.Name),
                new Text(resource.State, new Style(colour)),
                new Text(resource.Health ?? ""),
                new Text($"{resource.Pid}"),
                new Text($"{resource.Restarts}"),
                new Text(string.Join('\n', addresses)),
                new Text(resource.Detail ?? ""));
        }

        return table;
    }
}
