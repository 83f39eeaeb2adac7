using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Chat;

/// <summary>Writes a request as the JSON that fleet_shim.cpp reads, in any form of what others wrote.</summary>
internal static class ChatTemplateRequest
{
    // The receiver is a JSON parser, not a web page.
    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Schema keywords whose values are names of properties.
    private static readonly string[] NameMaps = ["properties", "patternProperties", "dependentSchemas", "dependentRequired"];

    // Values templates compare with literals.
    private static readonly string[] Compared = ["type", "format", "$ref", "$schema", "$id", "$anchor"];

    /// <param name="tools">Those the reply may call.</param>
    /// <param name="schema">The schema the answer must fit; empty = none.</param>
    /// <param name="promptOnly">Only the prompt is wanted; some families' own changes to it are then left out.</param>
    public static string Write(
        GenerationRequest request, IReadOnlyList<Tool> tools, string schema, UserTextForm form, bool promptOnly)
    {
        var messages = new JsonArray([.. request.Messages.Select(message => Message(message, form))]);
        if (request.ContinueFrom.Length > 0)
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = form.Text(request.ContinueFrom) });

        var root = new JsonObject
        {
            ["messages"] = messages,
            ["tool_choice"] = request.ToolChoice.Mode switch
            {
                ToolChoiceMode.None => "none",
                ToolChoiceMode.Required => "required",
                _ => "auto",
            },
            ["parallel_tool_calls"] = request.ParallelToolCalls,
            ["json_schema"] = schema,
            ["enable_thinking"] = Thinks(request),
            ["continue"] = request.ContinueFrom.Length > 0 ? "content" : "",
            ["prompt_only"] = promptOnly,
        };
        if (tools.Count > 0)
            root["tools"] = new JsonArray([.. tools.Select(tool => Describe(tool, form))]);
        if (Arguments(request, form) is { Count: > 0 } arguments)
            root["arguments"] = arguments;
        return root.ToJsonString(Json);
    }

    // A grammar of the caller's own has no room for thoughts before the answer.
    private static bool Thinks(GenerationRequest request) =>
        request.Reasoning.Effort != "none" && (request.Reasoning.Enabled ?? request.ResponseFormat.Kind != ResponseFormatKind.Grammar);

    private static JsonObject Message(ChatMessage message, UserTextForm form)
    {
        var written = new JsonObject { ["role"] = RoleName(message.Role), ["content"] = form.Text(message.Content) };
        if (message.Reasoning.Length > 0)
            written["reasoning_content"] = form.Text(message.Reasoning);
        if (message.Name.Length > 0)
            written["name"] = form.Text(message.Name);
        if (message.ToolCallId.Length > 0)
            written["tool_call_id"] = Id(message.ToolCallId, form);
        if (message.ToolCalls.Count > 0)
            written["tool_calls"] = new JsonArray([.. message.ToolCalls.Select(call => Call(call, form))]);
        return written;
    }

    private static JsonObject Call(ToolCall call, UserTextForm form)
    {
        var written = new JsonObject
        {
            ["type"] = "function",
            ["function"] = new JsonObject
            {
                ["name"] = form.Text(call.Name),
                ["arguments"] = form.Json(call.Arguments.Length > 0 ? call.Arguments : "{}"),
            },
        };
        if (call.Id.Length > 0)
            written["id"] = Id(call.Id, form);
        return written;
    }

    // Some templates check what an id looks like.
    private static string Id(string id, UserTextForm form) => id.All(char.IsAsciiLetterOrDigit) ? id : form.Text(id);

    private static JsonObject Describe(Tool tool, UserTextForm form) => new()
    {
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = form.Text(tool.Name),
            ["description"] = form.Text(tool.Description),
            ["parameters"] = tool.Parameters.Length > 0 ? Schema(JsonNode.Parse(tool.Parameters), form) : new JsonObject(),
        },
    };

    /// <summary>Names and texts are the caller's; keywords and types are the language templates speak.</summary>
    private static JsonNode? Schema(JsonNode? node, UserTextForm form) => node switch
    {
        JsonObject map => new JsonObject(map.Select(entry => KeyValuePair.Create(entry.Key, Keyword(entry.Key, entry.Value, form)))),
        JsonArray list => new JsonArray([.. list.Select(item => Schema(item, form))]),
        _ => node?.DeepClone(),
    };

    private static JsonNode? Keyword(string keyword, JsonNode? value, UserTextForm form) => value switch
    {
        JsonObject names when NameMaps.Contains(keyword) =>
            new JsonObject(names.Select(entry => KeyValuePair.Create(form.Text(entry.Key), Schema(entry.Value, form)))),
        _ when Compared.Contains(keyword) => value?.DeepClone(),
        JsonObject or JsonArray when keyword is not ("required" or "enum" or "const" or "default" or "examples") => Schema(value, form),
        _ => Texts(value, form),
    };

    private static JsonNode? Texts(JsonNode? node, UserTextForm form) => node switch
    {
        JsonObject map => new JsonObject(map.Select(entry => KeyValuePair.Create(form.Text(entry.Key), Texts(entry.Value, form)))),
        JsonArray list => new JsonArray([.. list.Select(item => Texts(item, form))]),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => JsonValue.Create(form.Text(value.GetValue<string>())),
        _ => node?.DeepClone(),
    };

    private static JsonObject Arguments(GenerationRequest request, UserTextForm form)
    {
        // Templates compare words ("high"); longer texts are printed.
        var written = new JsonObject();
        foreach (var (name, value) in request.TemplateArguments)
            written[name] = value.All(character => char.IsAsciiLetterOrDigit(character) || character is '"' or '_' or '-') ? value : form.Json(value);
        if (request.Reasoning.Effort is { Length: > 0 } effort and not "none")
            written["reasoning_effort"] = JsonSerializer.Serialize(effort);
        return written;
    }

    private static string RoleName(ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.Assistant => "assistant",
        ChatRole.Tool => "tool",
        _ => "user",
    };
}
