using System.Text;
using System.Text.Json;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Security;

namespace Fleet.Chat.OpenAi;

/// <summary>A chat or text completion as the OpenAI API phrases it, translated to the engine's request.</summary>
/// <param name="Call">What the engine is asked.</param>
/// <param name="IncludeUsage">An extra chunk with the counts after the last one.</param>
internal sealed record CompletionRequest(GenerateRequest Call, bool Stream, bool IncludeUsage, bool Logprobs)
{
    private const int MostStops = 16;
    private const int MostChoices = 16;

    public static CompletionRequest Chat(OpenAiJson json, HttpContext http)
    {
        RefuseChatExtras(json);
        var (call, stream, includeUsage) = Common(json, http);
        ToolFields.Read(json, call);
        call.ResponseFormat = FormatFields.Read(json);
        call.Reasoning = ReadReasoning(json);
        call.MaxTokens = (int?)json.Integer("max_completion_tokens", 1, 1_000_000) ?? (int?)json.Integer("max_tokens", 1, 1_000_000) ?? 0;
        call.Logprobs = json.Boolean("logprobs");
        call.TopLogprobs = (int?)json.Integer("top_logprobs", 0, 20) ?? 0;
        if (call.TopLogprobs > 0 && !call.Logprobs) throw OpenAiException.Invalid("top_logprobs", "'top_logprobs' needs 'logprobs': true.");

        if (!json.TryGet("messages", out var messages) || messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
            throw OpenAiException.Invalid("messages", "'messages' must be an array with at least one message.");
        var index = 0;
        foreach (var message in messages.EnumerateArray()) call.Messages.Add(ReadMessage(message, $"messages[{index++}]"));
        return new CompletionRequest(call, stream, includeUsage, call.Logprobs);
    }

    public static CompletionRequest Text(OpenAiJson json, HttpContext http)
    {
        var (call, stream, includeUsage) = Common(json, http);
        // The API's default: a forgotten limit must not fill the context.
        call.MaxTokens = (int?)json.Integer("max_tokens", 1, 1_000_000) ?? 16;
        if (json.TryGet("logprobs", out _)) throw OpenAiException.Unsupported("logprobs", "'logprobs' is supported by /v1/chat/completions only.");
        if (json.Boolean("echo")) throw OpenAiException.Unsupported("echo", "'echo' is not supported.");
        if (json.Integer("best_of", 1, 20) > 1) throw OpenAiException.Unsupported("best_of", "Only one completion per request is supported.");
        if (json.String("suffix") is { Length: > 0 }) throw OpenAiException.Unsupported("suffix", "'suffix' is not supported.");
        var prompts = json.Strings("prompt", 1);
        if (prompts is not [{ Length: > 0 } prompt]) throw OpenAiException.Invalid("prompt", "'prompt' must be one string that is not empty.");
        call.Prompt = prompt;
        return new CompletionRequest(call, stream, includeUsage, Logprobs: false);
    }

    private static (GenerateRequest Call, bool Stream, bool IncludeUsage) Common(OpenAiJson json, HttpContext http)
    {
        var choices = json.Integer("n", 1, 128) ?? 1;
        if (choices > MostChoices) throw OpenAiException.Unsupported("n", $"At most {MostChoices} completions per request are supported.");
        var stops = json.Strings("stop", MostStops);
        if (stops.Any(string.IsNullOrEmpty)) throw OpenAiException.Invalid("stop", "A stop sequence must not be empty.");

        var call = new GenerateRequest
        {
            Model = json.String("model") ?? "",
            RequestId = Guid.CreateVersion7().ToString(),
            Caller = new Caller { TenantId = http.User.TenantId(), UserId = http.User.UserId().ToString(), Lane = Lane.Interactive },
            Sampling = SamplingFields.Read(json),
            Choices = (int)choices,
        };
        call.Stop.AddRange(stops);
        var stream = json.Boolean("stream");
        var includeUsage = false;
        if (json.TryGet("stream_options", out var options))
        {
            if (options.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid("stream_options", "'stream_options' must be an object.");
            if (!stream) throw OpenAiException.Invalid("stream_options", "'stream_options' needs 'stream': true.");
            includeUsage = new OpenAiJson(options).Boolean("include_usage");
        }

        return (call, stream, includeUsage);
    }

    private static Reasoning? ReadReasoning(OpenAiJson json) => json.String("reasoning_effort") switch
    {
        null => null,
        "none" => new Reasoning { Enabled = false, Effort = "none" },
        "minimal" or "low" or "medium" or "high" or "xhigh" or "max" => new Reasoning { Enabled = true, Effort = json.String("reasoning_effort")! },
        _ => throw OpenAiException.Invalid("reasoning_effort", "'reasoning_effort' is one of none, minimal, low, medium, high, xhigh, max."),
    };

    /// <summary>What would change the meaning of the answer is refused, not ignored.</summary>
    private static void RefuseChatExtras(OpenAiJson json)
    {
        foreach (var name in (string[])["audio", "web_search_options"])
        {
            if (json.TryGet(name, out _)) throw OpenAiException.Unsupported(name, $"'{name}' is not supported.");
        }

        foreach (var name in (string[])["functions", "function_call"])
        {
            if (json.TryGet(name, out _)) throw OpenAiException.Unsupported(name, $"'{name}' is the old form; send 'tools' and 'tool_choice'.");
        }

        if (json.Strings("modalities", 8).Any(modality => modality != "text"))
            throw OpenAiException.Unsupported("modalities", "Only text is supported.");
    }

    private static ChatMessage ReadMessage(JsonElement message, string at)
    {
        if (message.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid(at, $"'{at}' must be an object.");
        var json = new OpenAiJson(message);
        var role = json.String("role") switch
        {
            "system" or "developer" => Role.System,
            "user" => Role.User,
            "assistant" => Role.Assistant,
            "tool" => Role.Tool,
            _ => throw OpenAiException.Invalid($"{at}.role", "A role is one of system, developer, user, assistant, tool."),
        };
        var read = new ChatMessage
        {
            Role = role,
            Content = ReadContent(json, role, $"{at}.content"),
            Name = role == Role.Tool ? json.String("name") ?? "" : "",
            ToolCallId = role == Role.Tool ? json.String("tool_call_id") ?? throw OpenAiException.Invalid($"{at}.tool_call_id", "A tool's message needs 'tool_call_id'.") : "",
            Reasoning = role == Role.Assistant ? json.String("reasoning_content") ?? json.String("reasoning") ?? "" : "",
        };
        if (role == Role.Assistant) read.ToolCalls.AddRange(ToolFields.ReadCalls(json, at));
        return read;
    }

    private static string ReadContent(OpenAiJson message, Role role, string at)
    {
        if (!message.TryGet("content", out var content))
            return role == Role.Assistant ? "" : throw OpenAiException.Invalid(at, $"'{at}' is missing.");
        if (content.ValueKind == JsonValueKind.String) return OpenAiJson.Text(content, at);
        if (content.ValueKind != JsonValueKind.Array) throw OpenAiException.Invalid(at, $"'{at}' must be a string or an array of parts.");

        var text = new StringBuilder();
        var index = 0;
        foreach (var part in content.EnumerateArray())
        {
            var where = $"{at}[{index++}]";
            if (part.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid(where, $"'{where}' must be an object.");
            var json = new OpenAiJson(part);
            text.Append(json.String("type") switch
            {
                "text" or "input_text" => json.String("text") ?? throw OpenAiException.Invalid($"{where}.text", $"'{where}.text' is missing."),
                "refusal" => json.String("refusal") ?? "",
                var other => throw OpenAiException.Unsupported($"{where}.type", $"Parts of type '{other}' are not supported; only text is."),
            });
        }

        return text.ToString();
    }
}
