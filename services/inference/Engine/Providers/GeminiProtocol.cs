using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>
/// Gemini's streamGenerateContent. Roles are user and model, results of tools go by the tool's name. A call carries a signature of the
/// thoughts before it that the model wants back; it is remembered here for as long as this process lives and there is room.
/// </summary>
internal sealed class GeminiProtocol(RemoteModelOptions model) : ChatProtocol(model)
{
    private const int RememberedSignatures = 4096;

    private static readonly FrozenDictionary<string, ParameterRule> Table = new Dictionary<string, ParameterRule>
    {
        ["messages"] = ParameterRule.Adapted("`systemInstruction` apart, neighbours of one role merged, tool results by name"),
        ["max_tokens"] = ParameterRule.Sent("generationConfig.maxOutputTokens"),
        ["temperature"] = ParameterRule.Sent("generationConfig.temperature"),
        ["top_p"] = ParameterRule.Sent("generationConfig.topP"),
        ["top_k"] = ParameterRule.Adapted("`generationConfig.topK` when asked for"),
        ["min_p"] = ParameterRule.Dropped,
        ["typical_p"] = ParameterRule.Dropped,
        ["repetition_penalty"] = ParameterRule.Dropped,
        ["frequency_penalty"] = ParameterRule.Sent("generationConfig.frequencyPenalty", -2, 1.99f),
        ["presence_penalty"] = ParameterRule.Sent("generationConfig.presencePenalty", -2, 1.99f),
        ["penalty_last_n"] = ParameterRule.Dropped,
        ["mirostat"] = ParameterRule.Dropped,
        ["mirostat_tau"] = ParameterRule.Dropped,
        ["mirostat_eta"] = ParameterRule.Dropped,
        ["dry"] = ParameterRule.Dropped,
        ["xtc"] = ParameterRule.Dropped,
        ["seed"] = ParameterRule.Sent("generationConfig.seed"),
        ["logit_bias"] = ParameterRule.Refused("it has no such thing"),
        ["stop"] = ParameterRule.Adapted("`generationConfig.stopSequences`, beyond five looked for here"),
        ["logprobs"] = ParameterRule.Refused("its streams tell none"),
        ["response_format: json_object"] = ParameterRule.Adapted("`generationConfig.responseMimeType`"),
        ["response_format: json_schema"] = ParameterRule.Adapted("`generationConfig.responseJsonSchema`"),
        ["response_format: grammar"] = ParameterRule.Refused("it takes no grammars"),
        ["tools"] = ParameterRule.Adapted("`tools.functionDeclarations`"),
        ["tools: strict"] = ParameterRule.Dropped,
        ["tool_choice: none"] = ParameterRule.Adapted("`toolConfig`"),
        ["tool_choice: required"] = ParameterRule.Adapted("`toolConfig`"),
        ["parallel_tool_calls"] = ParameterRule.Here("only the first call is taken"),
        ["reasoning"] = ParameterRule.Adapted("`generationConfig.thinkingConfig`"),
        ["continue_from"] = ParameterRule.Adapted("last message, continued"),
        ["prompt"] = ParameterRule.Refused("it takes messages only"),
        ["prompt_tokens"] = ParameterRule.Refused("its token ids are its own"),
        ["template_arguments"] = ParameterRule.Refused("its template is its own"),
        ["adapters"] = ParameterRule.Refused("it has no adapters of the fleet's"),
        ["ignore_end"] = ParameterRule.Refused("it ends where it ends"),
        ["bypass_prefix_cache"] = ParameterRule.Dropped,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    // By call id, which this process makes up and nobody can guess.
    private readonly ConcurrentDictionary<string, string> _signatures = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _remembered = new();

    public override IReadOnlyDictionary<string, ParameterRule> Rules => Table;

    public override string Path => $"models/{Model.NameUpstream}:streamGenerateContent?alt=sse";

    public override FrameFormat Format => FrameFormat.ServerSentEvents;

    protected override bool CanContinue => true;

    protected override int MaxStops => 5;

    public override IReplyReader CreateReader(GenerationRequest request, UpstreamClient upstream) => new Reader(upstream, Remember);

    protected override void Write(JsonObject body, GenerationRequest request, IReadOnlyList<string> stops)
    {
        var system = string.Join("\n\n", request.Messages.Where(message => message.Role == ChatRole.System && message.Content.Length > 0).Select(message => message.Content));
        if (system.Length > 0)
            body["systemInstruction"] = new JsonObject { ["parts"] = new JsonArray(new JsonObject { ["text"] = system }) };
        body["contents"] = Contents(request);
        if (stops.Count > 0)
            Put(body, "generationConfig.stopSequences", new JsonArray([.. stops.Select(stop => JsonValue.Create(stop))]));
        if (!Model.FixedSampling && request.Sampling.TopK != new SamplingParameters().TopK && request.Sampling.TopK > 0)
            Put(body, "generationConfig.topK", request.Sampling.TopK);
        if (request.ResponseFormat.Kind is ResponseFormatKind.JsonObject or ResponseFormatKind.JsonSchema)
            Put(body, "generationConfig.responseMimeType", "application/json");
        if (request.ResponseFormat.Kind == ResponseFormatKind.JsonSchema)
            Put(body, "generationConfig.responseJsonSchema", ParseObject(request.ResponseFormat.Definition, "response_format"));
        WriteTools(body, request);
        if (EffortOf(request) is { } effort)
            Put(body, "generationConfig.thinkingConfig", new JsonObject { ["thinkingBudget"] = BudgetOf(effort), ["includeThoughts"] = effort != "none" });
        else if (request.Reasoning.Enabled == true)
            Put(body, "generationConfig.thinkingConfig", new JsonObject { ["includeThoughts"] = true });
    }

    private static void WriteTools(JsonObject body, GenerationRequest request)
    {
        if (request.Tools.Count == 0)
            return;

        body["tools"] = new JsonArray(new JsonObject
        {
            ["functionDeclarations"] = new JsonArray([.. request.Tools.Select(tool =>
            {
                var declared = new JsonObject { ["name"] = tool.Name, ["description"] = tool.Description };
                if (tool.Parameters.Length > 0)
                    declared["parametersJsonSchema"] = ParseSchema(tool);
                return declared;
            })]),
        });
        var calling = new JsonObject { ["mode"] = request.ToolChoice.Mode switch { ToolChoiceMode.None => "NONE", ToolChoiceMode.Required => "ANY", _ => "AUTO" } };
        if (request.ToolChoice is { Mode: ToolChoiceMode.Required, Name.Length: > 0 })
            calling["allowedFunctionNames"] = new JsonArray(request.ToolChoice.Name);
        body["toolConfig"] = new JsonObject { ["functionCallingConfig"] = calling };
    }

    private JsonArray Contents(GenerationRequest request)
    {
        var contents = new JsonArray();
        foreach (var message in request.Messages.Where(message => message.Role != ChatRole.System))
            Add(message.Role == ChatRole.Assistant ? "model" : "user", Parts(message, request.Messages));
        if (request.ContinueFrom.Length > 0)
            Add("model", [new JsonObject { ["text"] = request.ContinueFrom }]);
        return contents;

        void Add(string role, List<JsonObject> parts)
        {
            if (parts.Count == 0)
                return;
            if (contents.Count == 0 || contents[^1]!["role"]!.GetValue<string>() != role)
                contents.Add(new JsonObject { ["role"] = role, ["parts"] = new JsonArray() });
            foreach (var part in parts)
                contents[^1]!["parts"]!.AsArray().Add((JsonNode)part);
        }
    }

    private List<JsonObject> Parts(ChatMessage message, IReadOnlyList<ChatMessage> messages)
    {
        if (message.Role == ChatRole.Tool)
        {
            var name = message.Name.Length > 0 ? message.Name : messages.SelectMany(other => other.ToolCalls).FirstOrDefault(call => call.Id == message.ToolCallId)?.Name
                ?? throw new EngineException(EngineError.InvalidRequest, "messages: a tool's result belongs to no call");
            return [new JsonObject { ["functionResponse"] = new JsonObject { ["name"] = name, ["response"] = ResultOf(message.Content) } }];
        }

        var parts = new List<JsonObject>();
        if (message.Content.Length > 0)
            parts.Add(new JsonObject { ["text"] = message.Content });
        parts.AddRange(message.ToolCalls.Select(call =>
        {
            var part = new JsonObject { ["functionCall"] = new JsonObject { ["name"] = call.Name, ["args"] = ParseObject(call.Arguments, "messages.tool_calls.arguments") } };
            if (_signatures.TryGetValue(call.Id, out var signature))
                part["thoughtSignature"] = signature;
            return part;
        }));
        return parts;
    }

    // A result must be an object; most are text.
    private static JsonObject ResultOf(string content)
    {
        try
        {
            if (JsonNode.Parse(content) is JsonObject parsed)
                return parsed;
        }
        catch (JsonException)
        {
            // Text, then.
        }

        return new JsonObject { ["result"] = content };
    }

    private void Remember(string callId, string signature)
    {
        _signatures[callId] = signature;
        _remembered.Enqueue(callId);
        while (_remembered.Count > RememberedSignatures && _remembered.TryDequeue(out var oldest))
            _signatures.TryRemove(oldest, out _);
    }

    private sealed class Reader(UpstreamClient upstream, Action<string, string> remember) : IReplyReader
    {
        private int _calls;

        // The stream's end is the connection's.
        public bool Ended => false;

        public RemoteEnding Ending { get; private set; } = new();

        public GenerationDelta? Read(Frame frame)
        {
            using var document = JsonDocument.Parse(frame.Data);
            var root = document.RootElement;
            if (root.Field("error") is { } error)
                throw upstream.ToldInStream(error.Text("status"));
            if (root.Field("promptFeedback")?.Text("blockReason") is not null)
                throw OpenAiProtocol.Filtered(upstream);
            if (root.Field("usageMetadata") is { } usage)
                ReadUsage(usage);
            if (root.Items("candidates").FirstOrDefault() is not { ValueKind: JsonValueKind.Object } candidate)
                return null;

            var text = "";
            var reasoning = "";
            var calls = new List<ToolCallDelta>();
            foreach (var part in candidate.Field("content")?.Items("parts") ?? [])
            {
                if (part.Field("functionCall") is { } call)
                    calls.Add(Call(call, part.Text("thoughtSignature")));
                else if (part.Field("thought") is { ValueKind: JsonValueKind.True })
                    reasoning += part.Text("text");
                else
                    text += part.Text("text");
            }

            if (candidate.Text("finishReason") is { } reason)
                Ending = Ending with { Reason = ReasonOf(reason) };
            return GenerationDelta.OfText(text) with { Reasoning = reasoning, ToolCalls = calls };
        }

        private ToolCallDelta Call(JsonElement call, string? signature)
        {
            var id = $"call_{Guid.NewGuid():N}";
            if (signature is not null)
                remember(id, signature);
            return new ToolCallDelta(_calls++, id, call.Text("name") ?? "", call.Field("args")?.GetRawText() ?? "{}");
        }

        private void ReadUsage(JsonElement usage)
        {
            var thoughts = usage.Number("thoughtsTokenCount");
            Ending = Ending with
            {
                PromptTokens = usage.Number("promptTokenCount") ?? Ending.PromptTokens,
                CachedTokens = usage.Number("cachedContentTokenCount") ?? Ending.CachedTokens,
                CompletionTokens = usage.Number("candidatesTokenCount") + (thoughts ?? 0) ?? Ending.CompletionTokens,
                ReasoningTokens = thoughts ?? Ending.ReasoningTokens,
            };
        }

        private FinishReason ReasonOf(string reason) => reason switch
        {
            "STOP" => _calls > 0 ? FinishReason.ToolCalls : FinishReason.Stop,
            "MAX_TOKENS" => FinishReason.Length,
            "SAFETY" or "RECITATION" or "BLOCKLIST" or "PROHIBITED_CONTENT" or "SPII" or "LANGUAGE" => throw OpenAiProtocol.Filtered(upstream),
            _ => throw upstream.ToldInStream(reason),
        };
    }
}
