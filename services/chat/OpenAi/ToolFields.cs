using System.Text.Json;
using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.OpenAi;

/// <summary>Tools, the choice among them, and earlier calls in the conversation (openai-wire.md §3).</summary>
internal static class ToolFields
{
    private const int MostTools = 128;

    public static void Read(OpenAiJson json, GenerateRequest call)
    {
        if (json.TryGet("tools", out var tools))
        {
            if (tools.ValueKind != JsonValueKind.Array || tools.GetArrayLength() > MostTools)
                throw OpenAiException.Invalid("tools", $"'tools' must be an array of at most {MostTools}.");
            var index = 0;
            foreach (var tool in tools.EnumerateArray()) call.Tools.Add(ReadTool(tool, $"tools[{index++}]"));
        }

        call.ToolChoice = ReadChoice(json, call);
        // There, several calls a turn are the default.
        call.ParallelToolCalls = call.Tools.Count > 0 && (!json.TryGet("parallel_tool_calls", out _) || json.Boolean("parallel_tool_calls"));
    }

    public static IEnumerable<ToolCall> ReadCalls(OpenAiJson message, string at)
    {
        if (!message.TryGet("tool_calls", out var calls)) yield break;
        if (calls.ValueKind != JsonValueKind.Array) throw OpenAiException.Invalid($"{at}.tool_calls", $"'{at}.tool_calls' must be an array.");
        var index = 0;
        foreach (var call in calls.EnumerateArray())
        {
            var where = $"{at}.tool_calls[{index++}]";
            var function = Function(call, where);
            yield return new ToolCall
            {
                Id = new OpenAiJson(call).String("id") ?? throw OpenAiException.Invalid($"{where}.id", $"'{where}.id' is missing."),
                Name = function.String("name") ?? throw OpenAiException.Invalid($"{where}.function.name", $"'{where}.function.name' is missing."),
                Arguments = function.String("arguments") ?? "",
            };
        }
    }

    private static Tool ReadTool(JsonElement tool, string at)
    {
        if (tool.ValueKind != JsonValueKind.Object || new OpenAiJson(tool).String("type") is not "function")
            throw OpenAiException.Unsupported($"{at}.type", "Only tools of type 'function' are supported.");
        var function = Function(tool, at);
        var parameters = "";
        if (function.TryGet("parameters", out var schema))
        {
            if (schema.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid($"{at}.function.parameters", "'parameters' must be a JSON Schema object.");
            parameters = schema.GetRawText();
        }

        return new Tool
        {
            Name = function.String("name") ?? throw OpenAiException.Invalid($"{at}.function.name", $"'{at}.function.name' is missing."),
            Description = function.String("description") ?? "",
            Parameters = parameters,
            Strict = function.Boolean("strict"),
        };
    }

    private static ToolChoice? ReadChoice(OpenAiJson json, GenerateRequest call)
    {
        if (!json.TryGet("tool_choice", out var choice)) return null;
        if (choice.ValueKind == JsonValueKind.String)
        {
            return choice.GetString() switch
            {
                "none" => new ToolChoice { Mode = ToolChoiceMode.None },
                "auto" => new ToolChoice { Mode = ToolChoiceMode.Auto },
                "required" when call.Tools.Count > 0 => new ToolChoice { Mode = ToolChoiceMode.Required },
                "required" => throw OpenAiException.Invalid("tool_choice", "A call is required but there are no tools."),
                _ => throw OpenAiException.Invalid("tool_choice", "'tool_choice' is none, auto, required or a function."),
            };
        }

        var name = choice.ValueKind == JsonValueKind.Object ? Function(choice, "tool_choice").String("name") : null;
        return call.Tools.Any(tool => tool.Name == name)
            ? new ToolChoice { Mode = ToolChoiceMode.Required, Name = name }
            : throw OpenAiException.Invalid("tool_choice", "'tool_choice' must name one of the tools.");
    }

    private static OpenAiJson Function(JsonElement owner, string at) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object
            ? new OpenAiJson(function)
            : throw OpenAiException.Invalid($"{at}.function", $"'{at}.function' must be an object.");
}
