using System.CommandLine;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using Fleet.Provisioning;

namespace Fleet.Cli.Client;

/// <summary>One question, the answer as it is written; the conversation stays and can be opened in the browser.</summary>
internal static class AskCommand
{
    private const int TitleLength = 60;

    public static Command Create(FleetPaths paths)
    {
        var question = new Argument<string>("question");
        var model = new Option<string?>("--model") { Description = "Which model answers; default: the fleet's" };
        var noKnowledge = new Option<bool>("--no-knowledge") { Description = "Do not search the documents first" };
        var command = new Command("ask", "Ask the running fleet as the administrator") { question, model, noKnowledge };
        command.SetAction((result, cancellationToken) => RunAsync(
            paths, result.GetValue(question)!, result.GetValue(model), !result.GetValue(noKnowledge), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, string question, string? model, bool knowledge, CancellationToken cancellationToken)
    {
        using var client = await FleetClient.SignInAsync(paths, cancellationToken);
        var configuration = new JsonObject { ["useKnowledge"] = knowledge };
        if (model is not null)
            configuration["model"] = model;
        var title = question.Length > TitleLength ? question[..TitleLength] : question;
        var session = await client.PostAsync("api/sessions", new JsonObject { ["title"] = title, ["config"] = configuration }, cancellationToken);

        using var response = await client.OpenStreamAsync(
            $"api/sessions/{session["id"]}/messages", new JsonObject { ["content"] = question }, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        return await WriteAsync(stream, Console.Out, cancellationToken);
    }

    /// <summary>Writes the answer's text and then the sources it cites; a stream that breaks off without <c>done</c> is an error, not an answer.</summary>
    internal static async Task<int> WriteAsync(Stream events, TextWriter output, CancellationToken cancellationToken)
    {
        List<string> sources = [];
        await foreach (var item in SseParser.Create(events).EnumerateAsync(cancellationToken))
        {
            switch (item.EventType)
            {
                case "token":
                    await output.WriteAsync((string?)JsonNode.Parse(item.Data)?["text"]);
                    await output.FlushAsync(cancellationToken);
                    break;
                case "citation":
                    var citation = JsonNode.Parse(item.Data);
                    var page = (int?)citation?["page"] > 0 ? $", page {citation?["page"]}" : "";
                    sources.Add($"[{citation?["number"]}] {citation?["title"]}{page}");
                    break;
                case "done":
                    await output.WriteLineAsync();
                    foreach (var source in sources)
                        await output.WriteLineAsync(source);
                    return 0;
                case "error":
                    await output.WriteLineAsync();
                    throw new CommandException($"The answer failed: {JsonNode.Parse(item.Data)?["title"]}");
            }
        }

        throw new CommandException("The answer broke off.");
    }
}
