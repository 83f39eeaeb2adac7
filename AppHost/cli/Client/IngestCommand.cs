using System.CommandLine;
using System.Text.Json.Nodes;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Client;

/// <summary>Uploads a file, or every file of a folder, into a collection and waits until each can be searched.</summary>
internal static class IngestCommand
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);

    public static Command Create(FleetPaths paths)
    {
        var path = new Argument<FileSystemInfo>("path") { Description = "A document or a folder of documents" };
        var collection = new Option<string>("--collection") { Description = "Its name; made when it is not there", DefaultValueFactory = _ => "Documents" };
        var command = new Command("ingest", "Add documents to the running fleet's knowledge") { path, collection };
        command.SetAction((result, cancellationToken) => RunAsync(
            paths, result.GetValue(path)!, result.GetValue(collection)!, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, FileSystemInfo path, string collection, CancellationToken cancellationToken)
    {
        var files = path switch
        {
            DirectoryInfo { Exists: true } folder => folder.GetFiles("*", SearchOption.AllDirectories).Where(file => !file.Name.StartsWith('.')).ToList(),
            FileInfo { Exists: true } file => [file],
            _ => throw new CommandException($"There is no file or folder {path.FullName}."),
        };
        using var client = await FleetClient.SignInAsync(paths, cancellationToken);
        var id = await FindOrCreateAsync(client, collection, cancellationToken);

        var failed = 0;
        foreach (var file in files)
        {
            try
            {
                var document = await client.UploadAsync($"api/collections/{id}/documents", file, cancellationToken);
                var status = await WaitAsync(client, (string?)document["id"], cancellationToken);
                AnsiConsole.Console.WriteDone($"{file.Name}: {status}");
            }
            catch (CommandException exception)
            {
                failed++;
                AnsiConsole.Console.WriteProblem($"{file.Name}: {exception.Message}");
            }
        }

        AnsiConsole.Console.WriteStep($"{files.Count - failed} of {files.Count} documents are in \"{collection}\"");
        return failed == 0 ? 0 : 1;
    }

    private static async Task<string> FindOrCreateAsync(FleetClient client, string name, CancellationToken cancellationToken)
    {
        string? cursor = null;
        do
        {
            var page = await client.GetAsync($"api/collections?limit=100{(cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}")}", cancellationToken);
            foreach (var item in page["items"]?.AsArray() ?? [])
            {
                if ((string?)item?["name"] == name)
                    return (string)item!["id"]!;
            }

            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);

        return (string)(await client.PostAsync("api/collections", new JsonObject { ["name"] = name }, cancellationToken))["id"]!;
    }

    private static async Task<string> WaitAsync(FleetClient client, string? id, CancellationToken cancellationToken)
    {
        while (true)
        {
            var document = await client.GetAsync($"api/documents/{id}", cancellationToken);
            var status = (string?)document["status"] ?? "";
            if (status == "failed")
                throw new CommandException($"{document["failureReason"] ?? "it could not be read"}");
            if (status == "indexed")
                return $"{document["chunks"]} passages";
            await Task.Delay(Poll, cancellationToken);
        }
    }
}
