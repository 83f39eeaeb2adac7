using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using static Fleet.Inference.Tests.Engine.Providers.FakeUpstream;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class GeminiProviderTests : IAsyncLifetime
{
    private readonly FakeUpstream _upstream = new();

    [Fact]
    public async Task AStream_BecomesTextReasoningAndUsage()
    {
        _upstream.Streams(Sse(
            new { candidates = new[] { new { content = new { parts = new object[] { new { text = "생각", thought = true } } } } } },
            new { candidates = new[] { new { content = new { parts = new object[] { new { text = "안녕" }, new { text = "하세요" } } } } } },
            new
            {
                candidates = new[] { new { content = new { parts = Array.Empty<object>() }, finishReason = "MAX_TOKENS" } },
                usageMetadata = new { promptTokenCount = 9, candidatesTokenCount = 5, thoughtsTokenCount = 3, cachedContentTokenCount = 2 },
            }));

        var events = await AllAsync(Generator(), Hello with
        {
            MaxTokens = 30,
            Stop = ["1", "2", "3", "4", "5", "6"],
            Sampling = new SamplingParameters { TopK = 3, FrequencyPenalty = 2, Seed = uint.MaxValue },
            Reasoning = new ReasoningOptions(Effort: "low"),
            ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"object"}"""),
        });

        Assert.Equal(("안녕하세요", "생각"), (TextOf(events), ReasoningOf(events)));
        var finished = (GenerationFinished)events[^1];
        Assert.Equal((FinishReason.Length, 9, 2, 8, 3), (finished.Reason, finished.PromptTokens, finished.CachedTokens, finished.CompletionTokens, finished.ReasoningTokens));
        var (path, body, headers) = _upstream.Asked.Single();
        Assert.Equal(("/base/models/their-model:streamGenerateContent?alt=sse", Key), (path, headers["x-goog-api-key"].ToString()));
        var config = body["generationConfig"]!;
        Assert.Equal((30, 3, 1.99m, int.MaxValue, 5), ((int)config["maxOutputTokens"]!, (int)config["topK"]!, (decimal)config["frequencyPenalty"]!, (int)config["seed"]!, config["stopSequences"]!.AsArray().Count));
        Assert.Equal((2048, "application/json", "object"), ((int)config["thinkingConfig"]!["thinkingBudget"]!, (string?)config["responseMimeType"], (string?)config["responseJsonSchema"]!["type"]));
    }

    [Fact]
    public async Task ToolCalls_GoThereAndBackWithTheirSignature()
    {
        _upstream.Streams(Sse(new
        {
            candidates = new[]
            {
                new
                {
                    content = new { parts = new object[] { new { functionCall = new { name = "weather", args = new { city = "서울" } }, thoughtSignature = "c2ln" }, new { functionCall = new { name = "time", args = new { } } } } },
                    finishReason = "STOP",
                },
            },
        }));
        var generator = Generator();
        var request = Hello with { Tools = [new Tool("weather", "d", """{"type":"object"}""", false), new Tool("time", "d", "", false)], ToolChoice = new ToolChoice(ToolChoiceMode.Required, "weather"), ParallelToolCalls = true };

        var events = await AllAsync(generator, request);

        var calls = CallsOf(events);
        Assert.Equal([("weather", """{"city":"서울"}"""), ("time", "{}")], calls.Select(call => (call.Name, call.Arguments)));
        Assert.Equal(FinishReason.ToolCalls, ((GenerationFinished)events[^1]).Reason);
        var calling = _upstream.LastBody["toolConfig"]!["functionCallingConfig"]!;
        Assert.Equal(("ANY", "weather"), ((string?)calling["mode"], (string?)calling["allowedFunctionNames"]![0]));

        await AllAsync(generator, request with
        {
            Messages =
            [
                new ChatMessage(ChatRole.System, "be kind"), .. request.Messages,
                new ChatMessage(ChatRole.Assistant, "잠시만요") { ToolCalls = calls },
                new ChatMessage(ChatRole.Tool, "맑음") { ToolCallId = calls[0].Id },
                new ChatMessage(ChatRole.Tool, """{"hour":12}""") { ToolCallId = calls[1].Id, Name = "time" },
            ],
        });

        var body = _upstream.LastBody;
        Assert.Equal("be kind", (string?)body["systemInstruction"]!["parts"]![0]!["text"]);
        Assert.Equal(["user", "model", "user"], body["contents"]!.AsArray().Select(turn => (string?)turn!["role"]));
        Assert.Equal(("c2ln", "서울"), ((string?)body["contents"]![1]!["parts"]![1]!["thoughtSignature"], (string?)body["contents"]![1]!["parts"]![1]!["functionCall"]!["args"]!["city"]));
        Assert.Equal(("weather", "맑음"), ((string?)body["contents"]![2]!["parts"]![0]!["functionResponse"]!["name"], (string?)body["contents"]![2]!["parts"]![0]!["functionResponse"]!["response"]!["result"]));
        Assert.Equal(12, (int)body["contents"]![2]!["parts"]![1]!["functionResponse"]!["response"]!["hour"]!);
    }

    [Theory]
    [InlineData("""{"promptFeedback":{"blockReason":"SAFETY"}}""", nameof(EngineError.NotSupported))]
    [InlineData("""{"candidates":[{"finishReason":"RECITATION"}]}""", nameof(EngineError.NotSupported))]
    [InlineData("""{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}""", nameof(EngineError.Unavailable))]
    [InlineData("""{"error":{"status":"INTERNAL","message":"x"}}""", nameof(EngineError.Unavailable))]
    [InlineData("""{"candidates":[{"content":{"parts":[{"text":"half"}]}}]}""", nameof(EngineError.Unavailable))]
    public async Task WhatIsNotAReply_IsAFailure(string message, string error)
    {
        _upstream.Streams(Sse(message));

        Assert.Equal(error, (await FailureAsync(Generator())).Error.ToString());
    }

    [Fact]
    public async Task AWrongKey_IsForTheAdministrator()
    {
        _upstream.Refuses(400, """{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid","details":[{"reason":"API_KEY_INVALID"}]}}""");

        var exception = await FailureAsync(Generator());

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains("Inference:Providers:up:ApiKey", exception.Message, StringComparison.Ordinal);
    }

    public ValueTask InitializeAsync() => _upstream.InitializeAsync();

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    private ITextGenerator Generator() => _upstream.Generator(ProviderType.Gemini);
}
