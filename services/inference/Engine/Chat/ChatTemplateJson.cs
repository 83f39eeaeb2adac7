using System.Text.Json;

namespace Fleet.Inference.Engine.Chat;

/// <summary>The JSON that fleet_shim.cpp writes.</summary>
internal static class ChatTemplateJson
{
    public static ChatTemplateDescription ReadDescription(string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var capabilities = root.GetProperty("capabilities").EnumerateObject().Where(entry => entry.Value.GetBoolean()).Select(entry => entry.Name);
        return new ChatTemplateDescription(
            capabilities.ToHashSet(StringComparer.Ordinal), root.GetProperty("thinking").GetBoolean(), root.GetProperty("source").GetString()!);
    }

    public static RenderedChat ReadRendering(string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        return new RenderedChat
        {
            Prompt = Text(root, "prompt"),
            GenerationPrompt = Text(root, "generation_prompt"),
            Grammar = Text(root, "grammar"),
            GrammarLazy = root.GetProperty("grammar_lazy").GetBoolean(),
            Triggers = [.. root.GetProperty("triggers").EnumerateArray().Select(ReadTrigger)],
            PreservedTokens = Texts(root, "preserved_tokens"),
            Stops = Texts(root, "stops"),
            Delimiters = Texts(root, "delimiters"),
        };
    }

    public static ReadReply ReadReply(string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        return new ReadReply(Text(root, "content"), Text(root, "reasoning"),
            [.. root.GetProperty("tool_calls").EnumerateArray().Select(call => new ToolCall(Text(call, "id"), Text(call, "name"), Text(call, "arguments")))]);
    }

    private static GrammarTrigger ReadTrigger(JsonElement trigger) => new(Text(trigger, "kind") switch
    {
        "token" => GrammarTriggerKind.Token,
        "pattern" => GrammarTriggerKind.Pattern,
        "pattern_full" => GrammarTriggerKind.PatternFull,
        _ => GrammarTriggerKind.Word,
    }, Text(trigger, "value"), trigger.GetProperty("token").GetInt32());

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    private static List<string> Texts(JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray().Select(text => text.GetString()!)];
}
