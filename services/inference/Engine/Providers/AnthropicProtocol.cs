using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>
/// Anthropic's Messages. System text stands apart, turns alternate and begin with the user's, results of tools are the user's. Structured
/// output is a tool it must call, whose arguments are the reply.
/// </summary>
internal sealed class AnthropicProtocol(RemoteModelOptions model) : ChatProtocol(model)
{
    private const string ReplyTool = "reply";

    private static readonly FrozenDictionary<string, ParameterRule> Table = new Dictionary<string, ParameterRule>
    {
        ["messages"] = ParameterRule.Adapted("`system` apart, neighbours of one role merged, tool results in the user's turn"),
        ["max_tokens"] = ParameterRule.Adapted("`max_tokens`, `MaxOutputTokens` when unset"),
        ["temperature"] = ParameterRule.Adapted("`temperature`, clamped to 0–1; left out while thinking"),
        ["top_p"] = ParameterRule.Adapted("`top_p` when asked for and temperature is not; only one of them is taken"),
        ["top_k"] = ParameterRule.Adapted("`top_k` when asked for; left out while thinking"),
        ["min_p"] = ParameterRule.Dropped,
        ["typical_p"] = ParameterRule.Dropped,
        ["repetition_penalty"] = ParameterRule.Dropped,
        ["frequency_penalty"] = ParameterRule.Dropped,
        ["presence_penalty"] = ParameterRule.Dropped,
        ["penalty_last_n"] = ParameterRule.Dropped,
        ["mirostat"] = ParameterRule.Dropped,
        ["mirostat_tau"] = ParameterRule.Dropped,
        ["mirostat_eta"] = ParameterRule.Dropped,
        ["dry"] = ParameterRule.Dropped,
        ["xtc"] = ParameterRule.Dropped,
        ["seed"] = ParameterRule.Dropped,
        ["logit_bias"] = ParameterRule.Refused("it has no such thing"),
        ["stop"] = ParameterRule.Adapted("`stop_sequences`, those of white space looked for here"),
        ["logprobs"] = ParameterRule.Refused("it tells none"),
        ["response_format: json_object"] = ParameterRule.Adapted("a tool it must call; not with tools or reasoning"),
        ["response_format: json_schema"] = ParameterRule.Adapted("a tool it must call; not with tools or reasoning"),
        ["response_format: grammar"] = ParameterRule.Refused("it takes no grammars"),
        ["tools"] = ParameterRule.Adapted("`tools`"),
        ["tools: strict"] = ParameterRule.Dropped,
        ["tool_choice: none"] = ParameterRule.Adapted("`tool_choice`"),
        ["tool_choice: required"] = ParameterRule.Adapted("`tool_choice`; not while thinking"),
        ["parallel_tool_calls"] = ParameterRule.Adapted("`disable_parallel_tool_use`"),
        ["reasoning"] = ParameterRule.Adapted("`thinking` and `output_config.effort`, or a budget with `ThinkingBudget`; off in the turn that follows tools, whose signatures are not kept"),
        ["continue_from"] = ParameterRule.Adapted("refused unless `Continues` is set; then the last message, without white space at its end"),
        ["prompt"] = ParameterRule.Refused("it takes messages only"),
        ["prompt_tokens"] = ParameterRule.Refused("its token ids are its own"),
        ["template_arguments"] = ParameterRule.Refused("its template is its own"),
        ["adapters"] = ParameterRule.Refused("it has no adapters of the fleet's"),
        ["ignore_end"] = ParameterRule.Refused("it ends where it ends"),
        ["bypass_prefix_cache"] = ParameterRule.Dropped,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public override IReadOnlyDictionary<string, ParameterRule> Rules => Table;

    public override string Path => "messages";

    public override FrameFormat Format => FrameFormat.ServerSentEvents;

    protected override bool CanContinue => false;

    protected override int MaxStops => 16;

    public override IReplyReader CreateReader(GenerationRequest request, UpstreamClient upstream) => new Reader(upstream, IsStructured(request));

    protected override bool TakesStop(string stop) => !string.IsNullOrWhiteSpace(stop);

    protected override void Write(JsonObject body, GenerationRequest request, IReadOnlyList<string> stops)
    {
        body["model"] = Model.NameUpstream;
        body["stream"] = true;
        var maxTokens = request.MaxTokens > 0 ? request.MaxTokens : Model.MaxOutputTokens;
        if (stops.Count > 0)
            body["stop_sequences"] = new JsonArray([.. stops.Select(stop => JsonValue.Create(stop))]);
        var system = string.Join("\n\n", request.Messages.Where(message => message.Role == ChatRole.System && message.Content.Length > 0).Select(message => message.Content));
        if (system.Length > 0)
            body["system"] = system;
        body["messages"] = Messages(request);

        var effort = EffortOf(request);
        var afterTools = request.Messages.Count > 0 && request.Messages[^1].Role == ChatRole.Tool;
        var thinking = effort is not null and not "none" || request.Reasoning.Enabled == true;
        if (thinking && IsStructured(request))
            throw Refused("response_format", "it cannot think and answer in a form");
        thinking &= !afterTools;
        WriteTools(body, request, thinking);
        if (thinking)
            maxTokens = WriteThinking(body, effort ?? "medium", maxTokens);
        else if (!Model.FixedSampling)
            WriteSampling(body, request.Sampling);
        body["max_tokens"] = maxTokens;
    }

    private static bool IsStructured(GenerationRequest request) => request.ResponseFormat.Kind is ResponseFormatKind.JsonObject or ResponseFormatKind.JsonSchema;

    private int WriteThinking(JsonObject body, string effort, int maxTokens)
    {
        if (Model.ThinkingBudget)
        {
            // The budget is part of max_tokens, and the answer wants its own.
            var budget = BudgetOf(effort);
            body["thinking"] = new JsonObject { ["type"] = "enabled", ["budget_tokens"] = budget };
            return maxTokens + budget;
        }

        body["thinking"] = new JsonObject { ["type"] = "adaptive" };
        body["output_config"] = new JsonObject { ["effort"] = effort == "minimal" ? "low" : effort };
        return maxTokens;
    }

    private static void WriteSampling(JsonObject body, SamplingParameters sampling)
    {
        var defaults = new SamplingParameters();
        if (sampling.TopP != defaults.TopP && sampling.Temperature == defaults.Temperature && sampling.TopP is > 0 and < 1)
            body["top_p"] = (decimal)sampling.TopP;
        else
            body["temperature"] = Math.Clamp((decimal)sampling.Temperature, 0, 1);
        if (sampling.TopK != defaults.TopK && sampling.TopK > 0)
            body["top_k"] = sampling.TopK;
    }

    private static void WriteTools(JsonObject body, GenerationRequest request, bool thinking)
    {
        if (IsStructured(request))
        {
            if (request.Tools.Count > 0)
                throw Refused("response_format", "it cannot call tools and answer in a form");

            var schema = request.ResponseFormat.Kind == ResponseFormatKind.JsonSchema ? ParseObject(request.ResponseFormat.Definition, "response_format") : new JsonObject { ["type"] = "object" };
            if (schema["type"]?.GetValueKind() != JsonValueKind.String || schema["type"]!.GetValue<string>() != "object")
                throw Refused("response_format: json_schema", "its outermost type must be object");
            body["tools"] = new JsonArray(new JsonObject { ["name"] = ReplyTool, ["description"] = "Answers in the form that is asked for.", ["input_schema"] = schema });
            body["tool_choice"] = new JsonObject { ["type"] = "tool", ["name"] = ReplyTool, ["disable_parallel_tool_use"] = true };
            return;
        }

        if (request.Tools.Count == 0)
            return;

        if (thinking && request.ToolChoice.Mode == ToolChoiceMode.Required)
            throw Refused("tool_choice", "it cannot think and be made to call a tool");
        body["tools"] = new JsonArray([.. request.Tools.Select(tool => new JsonObject { ["name"] = tool.Name, ["description"] = tool.Description, ["input_schema"] = ParseSchema(tool) })]);
        var choice = request.ToolChoice switch
        {
            { Mode: ToolChoiceMode.None } => new JsonObject { ["type"] = "none" },
            { Mode: ToolChoiceMode.Required, Name.Length: > 0 } named => new JsonObject { ["type"] = "tool", ["name"] = named.Name },
            { Mode: ToolChoiceMode.Required } => new JsonObject { ["type"] = "any" },
            _ => new JsonObject { ["type"] = "auto" },
        };
        if (request.ToolChoice.Mode != ToolChoiceMode.None)
            choice["disable_parallel_tool_use"] = !request.ParallelToolCalls;
        body["tool_choice"] = choice;
    }

    private static JsonArray Messages(GenerationRequest request)
    {
        var turns = new JsonArray();
        foreach (var message in request.Messages.Where(message => message.Role != ChatRole.System))
        {
            var role = message.Role == ChatRole.Assistant ? "assistant" : "user";
            var blocks = Blocks(message);
            if (turns.Count == 0 && role == "assistant")
                turns.Add(Turn("user", [Text("…")]));
            if (turns.Count > 0 && turns[^1]!["role"]!.GetValue<string>() == role)
            {
                foreach (var block in blocks)
                    turns[^1]!["content"]!.AsArray().Add((JsonNode)block);
            }
            else if (blocks.Count > 0)
            {
                turns.Add(Turn(role, blocks));
            }
        }

        // White space at the end of the last words is refused; the model writes it again.
        if (request.ContinueFrom.TrimEnd() is { Length: > 0 } begun)
            turns.Add(Turn("assistant", [Text(begun)]));
        return turns;
    }

    private static JsonObject Turn(string role, List<JsonObject> blocks) => new() { ["role"] = role, ["content"] = new JsonArray([.. blocks]) };

    private static JsonObject Text(string text) => new() { ["type"] = "text", ["text"] = text };

    private static List<JsonObject> Blocks(ChatMessage message)
    {
        if (message.Role == ChatRole.Tool)
            return [new JsonObject { ["type"] = "tool_result", ["tool_use_id"] = message.ToolCallId, ["content"] = message.Content }];

        // Empty text is refused, and says nothing.
        var blocks = new List<JsonObject>();
        if (!string.IsNullOrWhiteSpace(message.Content))
            blocks.Add(Text(message.Content));
        blocks.AddRange(message.ToolCalls.Select(call => new JsonObject
        {
            ["type"] = "tool_use",
            ["id"] = call.Id,
            ["name"] = call.Name,
            ["input"] = ParseObject(call.Arguments, "messages.tool_calls.arguments"),
        }));
        return blocks;
    }

    private sealed class Reader(UpstreamClient upstream, bool structured) : IReplyReader
    {
        private int _calls = -1;

        public bool Ended { get; private set; }

        public RemoteEnding Ending { get; private set; } = new();

        public GenerationDelta? Read(Frame frame)
        {
            using var document = JsonDocument.Parse(frame.Data);
            var root = document.RootElement;
            switch (root.Text("type"))
            {
                case "message_start":
                    if (root.Field("message")?.Field("usage") is { } usage)
                        ReadUsage(usage);
                    return null;

                case "content_block_start" when root.Field("content_block") is { } block && block.Text("type") == "tool_use":
                    _calls++;
                    return structured ? null : Call(new ToolCallDelta(_calls, block.Text("id") ?? "", block.Text("name") ?? "", ""));

                case "content_block_start" when root.Field("content_block") is { } block && block.Text("text") is { Length: > 0 } text:
                    return structured ? null : GenerationDelta.OfText(text);

                case "content_block_delta" when root.Field("delta") is { } delta:
                    return ReadDelta(delta);

                case "message_delta":
                    if (root.Field("usage") is { } after)
                        ReadUsage(after);
                    if (root.Field("delta") is { } end && end.Text("stop_reason") is { } reason)
                        Ending = Ending with { Reason = ReasonOf(reason), StopSequence = end.Text("stop_sequence") ?? "" };
                    return null;

                case "message_stop":
                    Ended = true;
                    return null;

                case "error":
                    throw upstream.ToldInStream(root.Field("error")?.Text("type"));

                // Pings, ends of blocks, and what is yet to be invented.
                default:
                    return null;
            }
        }

        private GenerationDelta? ReadDelta(JsonElement delta) => delta.Text("type") switch
        {
            "text_delta" when !structured => GenerationDelta.OfText(delta.Text("text") ?? ""),
            "thinking_delta" => GenerationDelta.OfText("") with { Reasoning = delta.Text("thinking") ?? "" },
            "input_json_delta" when structured => GenerationDelta.OfText(delta.Text("partial_json") ?? ""),
            "input_json_delta" => Call(new ToolCallDelta(_calls, "", "", delta.Text("partial_json") ?? "")),
            _ => null,
        };

        private static GenerationDelta Call(ToolCallDelta call) => GenerationDelta.OfText("") with { ToolCalls = [call] };

        // Their input tokens leave out what came from the cache; ours are the whole prompt.
        private void ReadUsage(JsonElement usage)
        {
            var cached = usage.Number("cache_read_input_tokens");
            Ending = Ending with
            {
                PromptTokens = usage.Number("input_tokens") + (cached ?? 0) + (usage.Number("cache_creation_input_tokens") ?? 0) ?? Ending.PromptTokens,
                CachedTokens = cached ?? Ending.CachedTokens,
                CompletionTokens = usage.Number("output_tokens") ?? Ending.CompletionTokens,
            };
        }

        private FinishReason ReasonOf(string reason) => reason switch
        {
            "end_turn" or "stop_sequence" => FinishReason.Stop,
            "tool_use" => structured ? FinishReason.Stop : FinishReason.ToolCalls,
            "max_tokens" or "model_context_window_exceeded" or "pause_turn" => FinishReason.Length,
            "refusal" => throw OpenAiProtocol.Filtered(upstream),
            _ => throw upstream.ToldInStream(reason),
        };
    }
}
