using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>
/// OpenAI's chat completions, as OpenAI takes them or, extended, as llama.cpp, vLLM and their like do. The end is the last message with a
/// finish reason and then usage; <c>[DONE]</c> is waited for and not insisted on.
/// </summary>
internal sealed class OpenAiProtocol(RemoteModelOptions model, bool extended) : ChatProtocol(model)
{
    private static readonly FrozenDictionary<string, ParameterRule> Strict = Table(extended: false);
    private static readonly FrozenDictionary<string, ParameterRule> Extended = Table(extended: true);

    public override IReadOnlyDictionary<string, ParameterRule> Rules => extended ? Extended : Strict;

    public override string Path => "chat/completions";

    public override FrameFormat Format => FrameFormat.ServerSentEvents;

    protected override bool CanContinue => extended;

    // OpenAI takes four; so does whoever took over its limits.
    protected override int MaxStops => extended ? 16 : 4;

    public override IReplyReader CreateReader(GenerationRequest request, UpstreamClient upstream) => new Reader(upstream);

    protected override void Write(JsonObject body, GenerationRequest request, IReadOnlyList<string> stops)
    {
        body["model"] = Model.NameUpstream;
        body["stream"] = true;
        body["stream_options"] = new JsonObject { ["include_usage"] = true };
        if (request.MaxTokens > 0)
            body[extended ? "max_tokens" : "max_completion_tokens"] = request.MaxTokens;
        if (stops.Count > 0)
            body["stop"] = Texts(stops);
        if (request.Sampling.LogitBias.Count > 0)
            body["logit_bias"] = new JsonObject(request.Sampling.LogitBias.Select(bias => KeyValuePair.Create(bias.Key.ToString(System.Globalization.CultureInfo.InvariantCulture), (JsonNode?)JsonValue.Create((decimal)bias.Value))));
        if (request.Logprobs)
        {
            body["logprobs"] = true;
            body["top_logprobs"] = request.TopLogprobs;
        }

        // Only the likeliest token: what top_k 1 means, said with what there is.
        if (!extended && !Model.FixedSampling && request.Sampling.TopK == 1)
            body["temperature"] = 0;

        var messages = new JsonArray([.. request.Messages.Select(Message)]);
        if (request.ContinueFrom.Length > 0)
        {
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = request.ContinueFrom });
            body["add_generation_prompt"] = false;
            body["continue_final_message"] = true;
        }

        body["messages"] = messages;
        WriteFormat(body, request.ResponseFormat);
        WriteTools(body, request);
        WriteReasoning(body, request);
        if (extended)
            WriteExtended(body, request);
    }

    private static JsonObject Message(ChatMessage message)
    {
        var written = new JsonObject { ["role"] = message.Role.ToString().ToLowerInvariant() };
        if (message.Content.Length > 0 || message.ToolCalls.Count == 0)
            written["content"] = message.Content;
        if (message.Role == ChatRole.Tool)
            written["tool_call_id"] = message.ToolCallId;
        if (message.ToolCalls.Count > 0)
        {
            written["tool_calls"] = new JsonArray([.. message.ToolCalls.Select(call => new JsonObject
            {
                ["id"] = call.Id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.Arguments.Length > 0 ? call.Arguments : "{}" },
            })]);
        }

        return written;
    }

    private static void WriteFormat(JsonObject body, ResponseFormat format)
    {
        if (format.Kind == ResponseFormatKind.JsonObject)
            body["response_format"] = new JsonObject { ["type"] = "json_object" };
        if (format.Kind != ResponseFormatKind.JsonSchema)
            return;

        body["response_format"] = new JsonObject
        {
            ["type"] = "json_schema",
            ["json_schema"] = new JsonObject { ["name"] = "reply", ["strict"] = true, ["schema"] = ParseObject(format.Definition, "response_format") },
        };
    }

    private static void WriteTools(JsonObject body, GenerationRequest request)
    {
        if (request.Tools.Count == 0)
            return;

        body["tools"] = new JsonArray([.. request.Tools.Select(tool =>
        {
            var function = new JsonObject { ["name"] = tool.Name, ["description"] = tool.Description, ["parameters"] = ParseSchema(tool) };
            if (tool.Strict)
                function["strict"] = true;
            return new JsonObject { ["type"] = "function", ["function"] = function };
        })]);
        body["parallel_tool_calls"] = request.ParallelToolCalls;
        body["tool_choice"] = request.ToolChoice switch
        {
            { Mode: ToolChoiceMode.None } => "none",
            { Mode: ToolChoiceMode.Required, Name.Length: > 0 } named => new JsonObject { ["type"] = "function", ["function"] = new JsonObject { ["name"] = named.Name } },
            { Mode: ToolChoiceMode.Required } => "required",
            _ => "auto",
        };
    }

    private void WriteReasoning(JsonObject body, GenerationRequest request)
    {
        if (EffortOf(request) is { } effort)
            body["reasoning_effort"] = effort;
        if (extended && request.Reasoning.Enabled is { } enabled)
            Put(body, "chat_template_kwargs.enable_thinking", enabled);
    }

    private static void WriteExtended(JsonObject body, GenerationRequest request)
    {
        foreach (var (name, value) in request.TemplateArguments)
        {
            if (JsonNode.Parse(value) is { } parsed)
                Put(body, $"chat_template_kwargs.{name}", parsed);
        }

        if (request.Sampling.Dry is { } dry)
        {
            body["dry_multiplier"] = dry.Multiplier;
            body["dry_base"] = dry.Base;
            body["dry_allowed_length"] = dry.AllowedLength;
            body["dry_penalty_last_n"] = dry.LastN;
            body["dry_sequence_breakers"] = Texts(dry.Breakers);
        }

        if (request.Sampling.Xtc is { } xtc)
        {
            body["xtc_probability"] = xtc.Probability;
            body["xtc_threshold"] = xtc.Threshold;
        }
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => JsonValue.Create(text))]);

    private static FrozenDictionary<string, ParameterRule> Table(bool extended)
    {
        ParameterRule OnlyExtended(params string[] fields) => extended ? ParameterRule.Sent(fields) : ParameterRule.Dropped;
        return new Dictionary<string, ParameterRule>
        {
            ["messages"] = ParameterRule.Adapted("`messages`"),
            ["max_tokens"] = ParameterRule.Adapted(extended ? "`max_tokens`" : "`max_completion_tokens`"),
            ["temperature"] = ParameterRule.Sent("temperature"),
            ["top_p"] = ParameterRule.Sent("top_p"),
            ["top_k"] = extended ? ParameterRule.Sent("top_k") : ParameterRule.Dropped,
            ["min_p"] = OnlyExtended("min_p"),
            ["typical_p"] = OnlyExtended("typical_p"),
            ["repetition_penalty"] = OnlyExtended("repetition_penalty", "repeat_penalty"),
            ["frequency_penalty"] = ParameterRule.Sent("frequency_penalty"),
            ["presence_penalty"] = ParameterRule.Sent("presence_penalty"),
            ["penalty_last_n"] = OnlyExtended("repeat_last_n"),
            ["mirostat"] = OnlyExtended("mirostat"),
            ["mirostat_tau"] = OnlyExtended("mirostat_tau"),
            ["mirostat_eta"] = OnlyExtended("mirostat_eta"),
            ["dry"] = extended ? ParameterRule.Adapted("`dry_*`") : ParameterRule.Dropped,
            ["xtc"] = extended ? ParameterRule.Adapted("`xtc_*`") : ParameterRule.Dropped,
            ["seed"] = ParameterRule.Sent("seed"),
            ["logit_bias"] = ParameterRule.Adapted("`logit_bias`, ids of the provider's vocabulary"),
            ["stop"] = ParameterRule.Adapted(extended ? "`stop`" : "`stop`, beyond four looked for here"),
            ["logprobs"] = ParameterRule.Adapted("`logprobs`, `top_logprobs`; without token ids"),
            ["response_format: json_object"] = ParameterRule.Adapted("`response_format`"),
            ["response_format: json_schema"] = ParameterRule.Adapted("`response_format`, strict"),
            ["response_format: grammar"] = ParameterRule.Refused("it takes no grammars"),
            ["tools"] = ParameterRule.Adapted("`tools`"),
            ["tools: strict"] = ParameterRule.Adapted("`strict`"),
            ["tool_choice: none"] = ParameterRule.Adapted("`tool_choice`"),
            ["tool_choice: required"] = ParameterRule.Adapted("`tool_choice`"),
            ["parallel_tool_calls"] = ParameterRule.Adapted("`parallel_tool_calls`"),
            ["reasoning"] = ParameterRule.Adapted(extended ? "`reasoning_effort`, `enable_thinking` of the template" : "`reasoning_effort`"),
            ["continue_from"] = ParameterRule.Adapted(extended ? "last message, continued" : "refused unless `Continues` is set"),
            ["prompt"] = ParameterRule.Refused("it takes messages only"),
            ["prompt_tokens"] = ParameterRule.Refused("its token ids are its own"),
            ["template_arguments"] = extended ? ParameterRule.Adapted("`chat_template_kwargs`") : ParameterRule.Refused("its template is its own"),
            ["adapters"] = ParameterRule.Refused("it has no adapters of the fleet's"),
            ["ignore_end"] = extended ? ParameterRule.Sent("ignore_eos") : ParameterRule.Refused("it ends where it ends"),
            ["bypass_prefix_cache"] = extended ? ParameterRule.Sent("cache_prompt") : ParameterRule.Dropped,
        }.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private sealed class Reader(UpstreamClient upstream) : IReplyReader
    {
        public bool Ended { get; private set; }

        public RemoteEnding Ending { get; private set; } = new();

        public GenerationDelta? Read(Frame frame)
        {
            if (frame.Data.Span.StartsWith("[DONE]"u8))
            {
                Ended = true;
                return null;
            }

            using var document = JsonDocument.Parse(frame.Data);
            var root = document.RootElement;
            if (root.Field("error") is { } error)
                throw upstream.ToldInStream(error.Text("code") ?? error.Text("type"));
            if (root.Field("usage") is { ValueKind: JsonValueKind.Object } usage)
                ReadUsage(usage);

            // Replies to one prompt are asked for one by one, so there is at most one choice.
            if (root.Items("choices").FirstOrDefault() is not { ValueKind: JsonValueKind.Object } choice)
                return null;

            if (choice.Text("finish_reason") is { Length: > 0 } reason)
                Ending = Ending with { Reason = ReasonOf(reason) };
            if (choice.Field("delta") is not { } delta)
                return null;

            return new GenerationDelta(delta.Text("content") ?? delta.Text("refusal") ?? "", [], choice.Field("logprobs") is { } logprobs ? [.. logprobs.Items("content").Select(Logprob)] : [])
            {
                Reasoning = delta.Text("reasoning_content") ?? delta.Text("reasoning") ?? delta.Text("thinking") ?? "",
                ToolCalls = [.. delta.Items("tool_calls").Select(ToolCall)],
            };
        }

        private static ToolCallDelta ToolCall(JsonElement call, int position)
        {
            var function = call.Field("function");
            return new ToolCallDelta(call.Number("index") ?? position, call.Text("id") ?? "", function?.Text("name") ?? "", function?.Text("arguments") ?? "");
        }

        private static TokenLogprob Logprob(JsonElement token)
        {
            var bytes = token.Field("bytes") is { ValueKind: JsonValueKind.Array } list
                ? [.. list.EnumerateArray().Select(item => item.GetByte())]
                : Encoding.UTF8.GetBytes(token.Text("token") ?? "");

            // Their ids are not told, and would be of another vocabulary.
            return new TokenLogprob(-1, bytes, token.Field("logprob") is { ValueKind: JsonValueKind.Number } value ? value.GetSingle() : 0, [.. token.Items("top_logprobs").Select(Logprob)]);
        }

        private void ReadUsage(JsonElement usage) => Ending = Ending with
        {
            PromptTokens = usage.Number("prompt_tokens") ?? Ending.PromptTokens,
            CompletionTokens = usage.Number("completion_tokens") ?? Ending.CompletionTokens,
            CachedTokens = usage.Field("prompt_tokens_details")?.Number("cached_tokens") ?? Ending.CachedTokens,
            ReasoningTokens = usage.Field("completion_tokens_details")?.Number("reasoning_tokens") ?? Ending.ReasoningTokens,
        };

        private FinishReason ReasonOf(string reason) => reason switch
        {
            "stop" => FinishReason.Stop,
            "length" => FinishReason.Length,
            "tool_calls" or "function_call" => FinishReason.ToolCalls,
            "content_filter" => throw Filtered(upstream),
            _ => throw upstream.ToldInStream(reason),
        };
    }

    /// <summary>The provider's own filter ended the reply: neither a fault of its nor a reply.</summary>
    public static EngineException Filtered(UpstreamClient upstream) =>
        new(EngineError.NotSupported, $"The content filter of the provider {upstream.Name} stopped the reply.") { Upstream = true };
}
