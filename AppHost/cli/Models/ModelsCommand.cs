using System.CommandLine;
using Fleet.Cli.Client;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Models;

internal static class ModelsCommand
{
    public static Command Create(FleetPaths paths) => new("models", "The model files of this fleet")
    {
        List(paths),
        Add(paths),
        Pull(paths),
        Remove(paths),
    };

    private static Command List(FleetPaths paths)
    {
        var command = new Command("list", "Show what is installed and what is recommended");
        command.SetAction(async (_, cancellationToken) =>
        {
            var files = new ModelFolder(paths.Models).List();
            var states = await StatesAsync(paths, cancellationToken);
            var table = new Table().Border(TableBorder.Rounded).AddColumns("model", "size", "state", "note");
            foreach (var file in files)
            {
                var id = Path.GetFileNameWithoutExtension(file.Name);
                table.AddRow(new Text(file.Name), new Text(Size(file.Length)), new Text(states.GetValueOrDefault(id, "installed")), new Text(""));
            }

            foreach (var model in RecommendedModel.Read(paths).Where(model => files.All(file => file.Name != model.File)))
                table.AddRow(new Text(model.Id), new Text(Size(model.SizeBytes)), new Text("recommended"), new Text($"{model.Note} ({model.Licence})"));
            AnsiConsole.Write(table);
            AnsiConsole.Console.WriteStep($"Installed models are in {paths.Models}; install with: ./fleet models pull <model>");
            return 0;
        });
        return command;
    }

    /// <summary>What the running fleet says about each installed model; nothing when it does not run.</summary>
    private static async Task<Dictionary<string, string>> StatesAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        if (RunningFleet.Find(paths) is null)
            return [];
        using var client = await FleetClient.SignInAsync(paths, cancellationToken);
        var models = (await client.GetAsync("api/admin/models", cancellationToken))["installed"]?.AsArray() ?? [];
        return models.Where(model => model is not null)
            .ToDictionary(model => (string)model!["id"]!, model => $"{model!["state"]}{((bool?)model["isDefault"] == true ? ", default" : "")}");
    }

    private static Command Add(FleetPaths paths)
    {
        var file = new Argument<FileInfo>("file") { Description = "A GGUF file on this machine" };
        var command = new Command("add", "Copy a GGUF file into the models folder") { file };
        command.SetAction(async (result, cancellationToken) =>
        {
            var added = await new ModelFolder(paths.Models).AddAsync(result.GetValue(file)!, cancellationToken);
            AnsiConsole.Console.WriteDone($"{added.Name} ({Size(added.Length)})");
            return 0;
        });
        return command;
    }

    private static Command Pull(FleetPaths paths)
    {
        var source = new Argument<string>("source") { Description = "A recommended model, an https address of a GGUF file, or owner/repository/file.gguf on the hub" };
        var sha256 = new Option<string?>("--sha256") { Description = "Refuse the file when its hash is another" };
        var hub = new Option<string?>("--hub") { Description = $"The hub's address; default: {ModelSource.HubVariable}, else {ModelSource.DefaultHub}" };
        var command = new Command("pull", "Download a model; an interrupted download goes on where it stopped") { source, sha256, hub };
        command.SetAction(async (result, cancellationToken) =>
        {
            var folder = new ModelFolder(paths.Models);
            var text = result.GetValue(source)!;
            var known = RecommendedModel.Read(paths).FirstOrDefault(model => model.Id == text);
            var from = ModelSource.Parse(known is null ? text : $"{known.Repository}/{known.File}", result.GetValue(hub));
            var download = new ModelDownload(folder, from, result.GetValue(sha256) ?? known?.Sha256);
            var added = await ShowAsync(AnsiConsole.Console, from.FileName, report => download.RunAsync(report, cancellationToken));
            AnsiConsole.Console.WriteDone($"{added.Name} ({Size(added.Length)})");
            return 0;
        });
        return command;
    }

    private static Command Remove(FleetPaths paths)
    {
        var name = new Argument<string>("name") { Description = "As ./fleet models list shows it" };
        var command = new Command("rm", "Delete a model file") { name };
        command.SetAction(result =>
        {
            new ModelFolder(paths.Models).Remove(result.GetValue(name)!);
            AnsiConsole.Console.WriteDone($"{result.GetValue(name)} is deleted");
        });
        return command;
    }

    private static Task<FileInfo> ShowAsync(IAnsiConsole console, string name, Func<Action<long, long?>, Task<FileInfo>> download)
    {
        if (!console.Profile.Out.IsTerminal)
            return download((_, _) => { });
        return console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(screen =>
            {
                var task = screen.AddTask(Markup.Escape(name));
                return download((done, total) =>
                {
                    task.MaxValue = total ?? Math.Max(done, 1);
                    task.Value = done;
                });
            });
    }

    private static string Size(long bytes) => bytes >= 1024 * 1024 * 1024
        ? $"{bytes / (1024.0 * 1024 * 1024):0.00} GiB"
        : $"{bytes / (1024.0 * 1024):0.0} MiB";
}
