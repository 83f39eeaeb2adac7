using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using static Fleet.Inference.Tests.Engine.Providers.FakeUpstream;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class OllamaProviderTests : IAsyncLifetime
{
    private readonly FakeUpstream _upstream = new();

    [Fact]
    public async Task AStream_BecomesTextReasoningAndUsage()
    {
        _upstream.Streams(Lines(
            new { message = new { role = "assistant", content = "", thinking = "생각" }, done = false },
            new { message = new { role = "assistant", content = "안녕" }, done = false },
            new { message = new { role = "assistant", content = "하세요" }, done = false },
            new { message = new { role = "assistant", content = "" }, done = true, done_reason = "length", prompt_eval_count = 8, eval_count = 6 }), "application/x-ndjson");

        var events = await AllAsync(Generator(), Hello with
        {
            MaxTokens = 6,
            Stop = ["##"],
            Sampling = new SamplingParameters { TopK = 7, Mirostat = 2, PenaltyLastN = 12 },
            Reasoning = new ReasoningOptions(Enabled: true),
            ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonObject),
        });

        Assert.Equal(("안녕하세요", "생각"), (TextOf(events), ReasoningOf(events)));
        var finished = (GenerationFinished)events[^1];
        Assert.Equal((FinishReason.Length, 8, 6), (finished.Reason, finished.PromptTokens, finished.CompletionTokens));
        var (path, body, _) = _upstream.Asked.Single();
        Assert.Equal(("/base/api/chat", true, "json"), (path, (bool)body["think"]!, (string?)body["format"]));
        var options = body["options"]!;
        Assert.Equal((6, 7, 2, 12, 1m, 8192, "##"), ((int)options["num_predict"]!, (int)options["top_k"]!, (int)options["mirostat"]!, (int)options["repeat_last_n"]!, (decimal)options["repeat_penalty"]!, (int)options["num_ctx"]!, (string?)options["stop"]![0]));
    }

    [Fact]
    public async Task ToolCalls_GoThereAndBackAsObjects()
    {
        _upstream.Streams(Lines(
            new { message = new { content = "", tool_calls = new[] { new { function = new { name = "weather", arguments = new { city = "서울" } } } } }, done = false },
            new { message = new { content = "", tool_calls = new[] { new { function = new { name = "time", arguments = new { city = "부산" } } } } }, done = false },
            new { done = true, done_reason = "stop" }));
        var request = Hello with { Tools = [new Tool("weather", "d", "", false), new Tool("time", "d", "", false)], ParallelToolCalls = true };

        var events = await AllAsync(Generator(), request);

        var calls = CallsOf(events);
        Assert.Equal([("weather", """{"city":"서울"}"""), ("time", """{"city":"부산"}""")], calls.Select(call => (call.Name, call.Arguments)));
        Assert.Equal(2, calls.Select(call => call.Id).Distinct().Count());
        Assert.Equal(FinishReason.ToolCalls, ((GenerationFinished)events[^1]).Reason);

        await AllAsync(Generator(), request with
        {
            ToolChoice = new ToolChoice(ToolChoiceMode.None),
            Messages = [.. request.Messages, new ChatMessage(ChatRole.Assistant, "") { ToolCalls = calls }, new ChatMessage(ChatRole.Tool, "맑음") { ToolCallId = calls[0].Id }],
        });

        var body = _upstream.LastBody;
        Assert.False(body.ContainsKey("tools"));
        Assert.Equal(("서울", "weather"), ((string?)body["messages"]![1]!["tool_calls"]![0]!["function"]!["arguments"]!["city"], (string?)body["messages"]![2]!["tool_name"]));
    }

    [Fact]
    public async Task AnErrorInTheStream_AndAStreamCutOff_AreFailures()
    {
        _upstream.Streams(Lines(new { message = new { content = "half" }, done = false }, new { error = "안녕하세요" }));
        var exception = await FailureAsync(Generator());
        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.DoesNotContain("안녕하세요", exception.Message + _upstream.Logs.All, StringComparison.Ordinal);

        _upstream.Streams(Lines(new { message = new { content = "half" }, done = false }));
        Assert.Equal(EngineError.Unavailable, (await FailureAsync(Generator())).Error);
    }

    public ValueTask InitializeAsync() => _upstream.InitializeAsync();

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    private ITextGenerator Generator() => _upstream.Generator(ProviderType.Ollama);
}
