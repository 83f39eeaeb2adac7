using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using static Fleet.Inference.Tests.Engine.Providers.FakeUpstream;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class AnthropicProviderTests : IAsyncLifetime
{
    private readonly FakeUpstream _upstream = new();

    [Fact]
    public async Task AStream_BecomesTextReasoningAndUsage()
    {
        _upstream.Streams(NamedSse(
            new { type = "message_start", message = new { usage = new { input_tokens = 10, cache_read_input_tokens = 4, output_tokens = 1 } } },
            new { type = "content_block_start", index = 0, content_block = new { type = "thinking", thinking = "" } },
            new { type = "content_block_delta", index = 0, delta = new { type = "thinking_delta", thinking = "생각" } },
            new { type = "content_block_stop", index = 0 },
            new { type = "ping" },
            new { type = "content_block_start", index = 1, content_block = new { type = "text", text = "" } },
            new { type = "content_block_delta", index = 1, delta = new { type = "text_delta", text = "안녕" } },
            new { type = "something_new" },
            new { type = "content_block_delta", index = 1, delta = new { type = "text_delta", text = "하세요" } },
            new { type = "message_delta", delta = new { stop_reason = "stop_sequence", stop_sequence = "##" }, usage = new { output_tokens = 12 } },
            new { type = "message_stop" }));

        var events = await AllAsync(Generator(), Hello with { Stop = ["##", "\n"], Sampling = new SamplingParameters { Temperature = 1.7f, TopP = 0.5f, TopK = 9, Seed = 1 } });

        Assert.Equal(("안녕하세요", "생각"), (TextOf(events), ReasoningOf(events)));
        var finished = (GenerationFinished)events[^1];
        Assert.Equal((FinishReason.Stop, 14, 4, 12, "##"), (finished.Reason, finished.PromptTokens, finished.CachedTokens, finished.CompletionTokens, finished.StopSequence));
        var (path, body, headers) = _upstream.Asked.Single();
        Assert.Equal(("/base/messages", Key, "2023-06-01"), (path, headers["x-api-key"].ToString(), headers["anthropic-version"].ToString()));
        Assert.Equal((4096, 1m, 9, 1), ((int)body["max_tokens"]!, (decimal)body["temperature"]!, (int)body["top_k"]!, body["stop_sequences"]!.AsArray().Count));
        Assert.False(body.ContainsKey("top_p") || body.ContainsKey("seed") || body.ContainsKey("system"));
    }

    [Fact]
    public async Task TopPAlone_IsSentAlone()
    {
        Answers();

        await AllAsync(Generator(), Hello with { Sampling = new SamplingParameters { TopP = 0.5f } });

        Assert.Equal(0.5m, (decimal)_upstream.LastBody["top_p"]!);
        Assert.False(_upstream.LastBody.ContainsKey("temperature"));
    }

    [Fact]
    public async Task Turns_AlternateAndToolsResultsAreTheUsers()
    {
        _upstream.Streams(NamedSse(
            new { type = "content_block_start", index = 0, content_block = new { type = "tool_use", id = "t1", name = "weather", input = new { } } },
            new { type = "content_block_delta", index = 0, delta = new { type = "input_json_delta", partial_json = "{\"city\":" } },
            new { type = "content_block_delta", index = 0, delta = new { type = "input_json_delta", partial_json = "\"서울\"}" } },
            new { type = "content_block_start", index = 1, content_block = new { type = "tool_use", id = "t2", name = "time", input = new { } } },
            new { type = "message_delta", delta = new { stop_reason = "tool_use" } },
            new { type = "message_stop" }));
        var request = new GenerationRequest
        {
            RequestId = "r",
            Tools = [new Tool("weather", "d", """{"type":"object"}""", false), new Tool("time", "d", "", false)],
            ToolChoice = new ToolChoice(ToolChoiceMode.Required),
            ParallelToolCalls = true,
            Reasoning = new ReasoningOptions(Enabled: false),
            Messages =
            [
                new ChatMessage(ChatRole.System, "one"),
                new ChatMessage(ChatRole.Assistant, "welcome"),
                new ChatMessage(ChatRole.User, "a"),
                new ChatMessage(ChatRole.System, "two"),
                new ChatMessage(ChatRole.User, "b"),
                new ChatMessage(ChatRole.Assistant, "") { ToolCalls = [new ToolCall("c1", "weather", """{"city":"부산"}"""), new ToolCall("c2", "time", "")] },
                new ChatMessage(ChatRole.Tool, "맑음") { ToolCallId = "c1" },
                new ChatMessage(ChatRole.Tool, "정오") { ToolCallId = "c2" },
                new ChatMessage(ChatRole.User, "and?"),
            ],
        };

        var events = await AllAsync(Generator(), request);

        Assert.Equal([new ToolCall("t1", "weather", """{"city":"서울"}"""), new ToolCall("t2", "time", "")], CallsOf(events));
        Assert.Equal(FinishReason.ToolCalls, ((GenerationFinished)events[^1]).Reason);
        var body = _upstream.LastBody;
        Assert.Equal("one\n\ntwo", (string?)body["system"]);
        Assert.Equal(["user", "assistant", "user", "assistant", "user"], body["messages"]!.AsArray().Select(turn => (string?)turn!["role"]));
        Assert.Equal(["a", "b"], body["messages"]![2]!["content"]!.AsArray().Select(block => (string?)block!["text"]));
        Assert.Equal("부산", (string?)body["messages"]![3]!["content"]![0]!["input"]!["city"]);
        Assert.Equal(["tool_result", "tool_result", "text"], body["messages"]![4]!["content"]!.AsArray().Select(block => (string?)block!["type"]));
        Assert.Equal(("any", false), ((string?)body["tool_choice"]!["type"], (bool)body["tool_choice"]!["disable_parallel_tool_use"]!));
    }

    [Fact]
    public async Task ASchema_IsAToolItMustCall_AndItsArgumentsAreTheReply()
    {
        _upstream.Streams(NamedSse(
            new { type = "content_block_start", index = 0, content_block = new { type = "tool_use", id = "t", name = "reply", input = new { } } },
            new { type = "content_block_delta", index = 0, delta = new { type = "input_json_delta", partial_json = "{\"답\":1}" } },
            new { type = "message_delta", delta = new { stop_reason = "tool_use" } },
            new { type = "message_stop" }));
        var request = Hello with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"object","properties":{"답":{"type":"integer"}}}""") };

        var events = await AllAsync(Generator(), request);

        Assert.Equal(("""{"답":1}""", FinishReason.Stop), (TextOf(events), ((GenerationFinished)events[^1]).Reason));
        Assert.Empty(CallsOf(events));
        Assert.Equal("reply", (string?)_upstream.LastBody["tool_choice"]!["name"]);
        Assert.Equal(EngineError.NotSupported, (await FailureAsync(Generator(), request with { Tools = [new Tool("a", "", "", false)] })).Error);
        Assert.Equal(EngineError.NotSupported, (await FailureAsync(Generator(), request with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"array"}""") })).Error);
    }

    [Fact]
    public async Task Thinking_IsAnEffortOrABudget_AndLeavesSamplingOut()
    {
        Answers();
        var request = Hello with { MaxTokens = 100, Reasoning = new ReasoningOptions(Effort: "high") };

        await AllAsync(Generator(), request);
        Assert.Equal(("adaptive", "high", 100), ((string?)_upstream.LastBody["thinking"]!["type"], (string?)_upstream.LastBody["output_config"]!["effort"], (int)_upstream.LastBody["max_tokens"]!));
        Assert.False(_upstream.LastBody.ContainsKey("temperature"));

        await AllAsync(_upstream.Generator(ProviderType.Anthropic, model: model => model.ThinkingBudget = true), request);
        Assert.Equal((16_384, 16_484), ((int)_upstream.LastBody["thinking"]!["budget_tokens"]!, (int)_upstream.LastBody["max_tokens"]!));
    }

    [Fact]
    public async Task Continuing_IsRefusedUnlessTheModelCan()
    {
        Answers();
        var request = Hello with { ContinueFrom = "so far " };

        Assert.Contains("continue_from", (await FailureAsync(Generator(), request)).Message, StringComparison.Ordinal);
        Assert.Empty(_upstream.Asked);

        await AllAsync(_upstream.Generator(ProviderType.Anthropic, model: model => model.Continues = true), request);
        Assert.Equal("so far", (string?)_upstream.LastBody["messages"]![1]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task AnErrorEvent_IsAFailureWithItsKindOnly()
    {
        _upstream.Streams(NamedSse(new { type = "error", error = new { type = "overloaded_error", message = "안녕하세요" } }));

        var exception = await FailureAsync(Generator());

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains("overloaded_error", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("안녕하세요", exception.Message + _upstream.Logs.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARefusal_IsNotAReply()
    {
        _upstream.Streams(NamedSse(new { type = "message_delta", delta = new { stop_reason = "refusal" } }, new { type = "message_stop" }));

        Assert.Equal(EngineError.NotSupported, (await FailureAsync(Generator())).Error);
    }

    public ValueTask InitializeAsync() => _upstream.InitializeAsync();

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    private ITextGenerator Generator() => _upstream.Generator(ProviderType.Anthropic);

    private void Answers() => _upstream.Streams(NamedSse(
        new { type = "content_block_delta", index = 0, delta = new { type = "text_delta", text = "x" } },
        new { type = "message_delta", delta = new { stop_reason = "end_turn" } },
        new { type = "message_stop" }));
}
