using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Chat.Runs;

namespace Fleet.Chat.WebSockets;

/// <summary>The frames chat sends (http-api.md). Those of a run carry its id and sequence number.</summary>
internal static class SocketFrames
{
    private static readonly JsonSerializerOptions Options = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Presence(int connections) => Write(new JsonObject { ["type"] = "presence", ["connections"] = connections });

    public static string Typing() => Write(new JsonObject { ["type"] = "typing" });

    /// <param name="code">Stable, kebab-case.</param>
    public static string Error(string code, string title, Guid? runId = null) =>
        Write(new JsonObject { ["type"] = "error", ["code"] = code, ["title"] = title, ["runId"] = runId?.ToString() });

    public static string Of(Guid runId, RunEvent entry)
    {
        var data = JsonNode.Parse(entry.Json)!.AsObject();
        var frame = new JsonObject { ["type"] = TypeOf(entry), ["seq"] = entry.Seq, ["runId"] = runId.ToString() };
        foreach (var (name, value) in data.ToList())
        {
            if (name is "seq" or "runId") continue;
            data.Remove(name);
            // "type" names the frame, so an error's own type goes by code; a chunk's text by chunk.
            frame[(entry.Type, name) switch { (RunEvent.Token, "text") => "chunk", (RunEvent.Error, "type") => "code", _ => name }] = value;
        }

        return Write(frame);
    }

    private static string TypeOf(RunEvent entry) => entry.Type switch
    {
        RunEvent.Token => "ai_chunk",
        RunEvent.Done => "ai_complete",
        _ => entry.Type,
    };

    private static string Write(JsonObject frame) => frame.ToJsonString(Options);
}
