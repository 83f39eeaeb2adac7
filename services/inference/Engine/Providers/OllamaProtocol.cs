using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>Ollama's own chat: newline-delimited JSON, the last line says done. It makes no partial tool calls and has no ids for them.</summary>
internal sealed class OllamaProtocol(RemoteModelOptions model) : ChatProtocol(model)
{
    private static readonly FrozenDictionary<string, ParameterRule> Table = new Dictionary<string, ParameterRule>
    {
        ["messages"] = ParameterRule.Adapted("`messages`, arguments as objects, tool results by name"),
        ["max_tokens"] = ParameterRule.Sent("options.num_predict"),
        ["temperature"] = ParameterRule.Sent("options.temperature"),
        ["top_p"] = ParameterRule.Sent("options.top_p"),
        ["top_k"] = ParameterRule.Sent("options.top_k"),
        ["min_p"] = ParameterRule.Sent("options.min_p"),
        ["typical_p"] = ParameterRule.Sent("options.typical_p"),
        ["repetition_penalty"] = ParameterRule.Adapted("`options.repeat_penalty`, always: its default is not off"),
        ["frequency_penalty"] = ParameterRule.Sent("options.frequency_penalty"),
        ["presence_penalty"] = ParameterRule.Sent("options.presence_penalty"),
        ["penalty_last_n"] = ParameterRule.Sent("options.repeat_last_n"),
        ["mirostat"] = ParameterRule.Sent("options.mirostat"),
        ["mirostat_tau"] = ParameterRule.Sent("options.mirostat_tau"),
        ["mirostat_eta"] = ParameterRule.Sent("options.mirostat_eta"),
        ["dry"] = ParameterRule.Dropped,
        ["xtc"] = ParameterRule.Dropped,
        ["seed"] = ParameterRule.Sent("options.seed"),
        ["logit_bias"] = ParameterRule.Refused("it has no such thing"),
        ["stop"] = ParameterRule.Adapted("`options.stop`"),
        ["logprobs"] = ParameterRule.Refused("older servers tell none, silently"),
        ["response_format: json_object"] = ParameterRule.Adapted("`format: json`"),
        ["response_format: json_schema"] = ParameterRule.Adapted("`format`"),
        ["response_format: grammar"] = ParameterRule.Refused("it takes no grammars"),
        ["tools"] = ParameterRule.Adapted("`tools`"),
        ["tools: strict"] = ParameterRule.Dropped,
        ["tool_choice: none"] = ParameterRule.Adapted("tools are left out"),
        ["tool_choice: required"] = ParameterRule.Refused("it cannot be made to call a tool"),
        ["parallel_tool_calls"] = ParameterRule.Here("only the first call is taken"),
        ["reasoning"] = ParameterRule.Adapted("`think`: off, on, low, medium or high"),
        ["continue_from"] = ParameterRule.Adapted("last message, continued"),
        ["prompt"] = ParameterRule.Refused("it takes messages only"),
        ["prompt_tokens"] = ParameterRule.Refused("its token ids are its own"),
        ["template_arguments"] = ParameterRule.Refused("its template is its own"),
        ["adapters"] = ParameterRule.Refused("it has no adapters of the fleet's"),
        ["ignore_end"] = ParameterRule.Refused("it ends where it ends"),
        ["bypass_prefix_cache"] = ParameterRule.Dropped,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public override IReadOnlyDictionary<string, ParameterRule> Rules => Table;

    public override string Path => "api/chat";

    public override FrameFormat Format => FrameFormat.JsonLines;

    protected override bool CanContinue => true;

    protected override int MaxStops => 16;

    public override IReplyReader CreateReader(GenerationRequest request, UpstreamClient upstream) => new Reader(upstream);

    protected override void Write(JsonObject body, GenerationRequest request, IReadOnlyList<string> stops)
    {
        body["model"] = Model.NameUpstream;
        body["stream"] = true;
        var messages = new JsonArray([.. request.Messages.Select(message => Message(message, request.Messages))]);
        if (request.ContinueFrom.Length > 0)
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = request.ContinueFrom });
        body["messages"] = messages;
        if (stops.Count > 0)
            Put(body, "options.stop", new JsonArray([.. stops.Select(stop => JsonValue.Create(stop))]));
        if (!Model.FixedSampling)
            Put(body, "options.repeat_penalty", (decimal)request.Sampling.RepetitionPenalty);

        // Its own default cuts prompts short without a word.
        if (Model.ContextTokens > 0)
            Put(body, "options.num_ctx", Model.ContextTokens);
        if (request.ResponseFormat.Kind == ResponseFormatKind.JsonObject)
            body["format"] = "json";
        if (request.ResponseFormat.Kind == ResponseFormatKind.JsonSchema)
            body["format"] = ParseObject(request.ResponseFormat.Definition, "response_format");
        if (request.Tools.Count > 0 && request.ToolChoice.Mode != ToolChoiceMode.None)
        {
            body["tools"] = new JsonArray([.. request.Tools.Select(tool => new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = tool.Name, ["description"] = tool.Description, ["parameters"] = ParseSchema(tool) },
            })]);
        }

        if (EffortOf(request) is { } effort)
        {
            body["think"] = effort switch
            {
                "none" => false,
                "minimal" or "low" => "low",
                "medium" => "medium",
                _ => JsonValue.Create("high"),
            };
        }
        else if (request.Reasoning.Enabled == true)
        {
            body["think"] = true;
        }
    }

    private static JsonObject Message(ChatMessage message, IReadOnlyList<ChatMessage> messages)
    {
        var written = new JsonObject { ["role"] = message.Role.ToString().ToLowerInvariant(), ["content"] = message.Content };
        if (message.Role == ChatRole.Tool)
            written["tool_name"] = message.Name.Length > 0 ? message.Name : messages.SelectMany(other => other.ToolCalls).FirstOrDefault(call => call.Id == message.ToolCallId)?.Name ?? "";
        if (message.Reasoning.Length > 0)
            written["thinking"] = message.Reasoning;
        if (message.ToolCalls.Count > 0)
        {
            written["tool_calls"] = new JsonArray([.. message.ToolCalls.Select(call => new JsonObject
            {
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = ParseObject(call.Arguments, "messages.tool_calls.arguments") },
            })]);
        }

        return written;
    }

    private sealed class Reader(UpstreamClient upstream) : IReplyReader
    {
        private int _calls;

        public bool Ended { get; private set; }

        public RemoteEnding Ending { get; private set; } = new();

        public GenerationDelta? Read(Frame frame)
        {
            using var document = JsonDocument.Parse(frame.Data);
            var root = document.RootElement;

            // Its errors are sentences, which may quote anything.
            if (root.Field("error") is not null)
                throw upstream.ToldInStream("error");
            GenerationDelta? delta = null;
            if (root.Field("message") is { } message)
            {
                delta = GenerationDelta.OfText(message.Text("content") ?? "") with
                {
                    Reasoning = message.Text("thinking") ?? "",
                    ToolCalls = [.. message.Items("tool_calls").Select(call => new ToolCallDelta(
                        _calls++, call.Text("id") ?? "", call.Field("function")?.Text("name") ?? "", call.Field("function")?.Field("arguments")?.GetRawText() ?? "{}"))],
                };
            }

            if (root.Field("done") is { ValueKind: JsonValueKind.True })
            {
                Ended = true;
                Ending = new RemoteEnding
                {
                    Reason = root.Text("done_reason") switch
                    {
                        "length" => FinishReason.Length,
                        null or "stop" => _calls > 0 ? FinishReason.ToolCalls : FinishReason.Stop,
                        var other => throw upstream.ToldInStream(other),
                    },
                    PromptTokens = root.Number("prompt_eval_count"),
                    CompletionTokens = root.Number("eval_count"),
                };
            }

            return delta;
        }
    }
}
