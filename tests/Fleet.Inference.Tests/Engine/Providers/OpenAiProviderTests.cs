using System.Text.Json.Nodes;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using Fleet.Testing;
using static Fleet.Inference.Tests.Engine.Providers.FakeUpstream;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class OpenAiProviderTests : IAsyncLifetime
{
    private readonly FakeUpstream _upstream = new();

    [Fact]
    public async Task AStream_BecomesTextReasoningAndUsage()
    {
        _upstream.Streams(": keep-alive\n\n" + Sse(
            Delta(new { role = "assistant", content = "" }),
            Delta(new { reasoning_content = "생각" }),
            Delta(new { content = "안녕" }),
            Delta(new { content = "하세요 👋" }),
            Delta(new { }, "stop"),
            new { choices = Array.Empty<object>(), usage = new { prompt_tokens = 11, completion_tokens = 7, prompt_tokens_details = new { cached_tokens = 5 }, completion_tokens_details = new { reasoning_tokens = 2 } } },
            "[DONE]"));

        var events = await AllAsync(_upstream.Generator(ProviderType.OpenAi), Hello with { MaxTokens = 50 });

        Assert.IsType<GenerationStarted>(events[0]);
        Assert.Equal(("안녕하세요 👋", "생각"), (TextOf(events), ReasoningOf(events)));
        var finished = Assert.IsType<GenerationFinished>(events[^1]);
        Assert.Equal((FinishReason.Stop, 11, 5, 7, 2), (finished.Reason, finished.PromptTokens, finished.CachedTokens, finished.CompletionTokens, finished.ReasoningTokens));
        var (path, body, headers) = _upstream.Asked.Single();
        Assert.Equal("/base/chat/completions", path);
        Assert.Equal($"Bearer {Key}", headers.Authorization);
        Assert.False(headers.ContainsKey("traceparent"));
        Assert.Equal(("their-model", true, 50, 0.7m, "안녕하세요"), ((string?)body["model"], (bool)body["stream"]!, (int)body["max_completion_tokens"]!, (decimal)body["temperature"]!, (string?)body["messages"]![0]!["content"]));
        Assert.False(body.ContainsKey("top_k"));
    }

    [Fact]
    public async Task ToolCalls_GoThereAndBack()
    {
        _upstream.Streams(Sse(
            Delta(new { tool_calls = new object[] { new { index = 0, id = "c1", type = "function", function = new { name = "weather", arguments = "" } } } }),
            Delta(new { tool_calls = new object[] { new { index = 0, function = new { arguments = "{\"city\":" } } } }),
            Delta(new { tool_calls = new object[] { new { index = 0, function = new { arguments = "\"서울\"}" } }, new { index = 1, id = "c2", function = new { name = "time", arguments = "{}" } } } }),
            Delta(new { }, "tool_calls"), "[DONE]"));
        var request = Hello with
        {
            Tools = [new Tool("weather", "d", """{"type":"object","properties":{"city":{"type":"string"}}}""", Strict: true), new Tool("time", "", "", Strict: false)],
            ToolChoice = new ToolChoice(ToolChoiceMode.Required, "weather"),
            ParallelToolCalls = true,
        };

        var events = await AllAsync(_upstream.Generator(ProviderType.OpenAi), request);

        Assert.Equal([new ToolCall("c1", "weather", """{"city":"서울"}"""), new ToolCall("c2", "time", "{}")], CallsOf(events));
        Assert.Equal(FinishReason.ToolCalls, ((GenerationFinished)events[^1]).Reason);
        Assert.Equal(("weather", true, "object"), ((string?)_upstream.LastBody["tool_choice"]!["function"]!["name"], (bool)_upstream.LastBody["tools"]![0]!["function"]!["strict"]!, (string?)_upstream.LastBody["tools"]![1]!["function"]!["parameters"]!["type"]));

        await AllAsync(_upstream.Generator(ProviderType.OpenAi), request with
        {
            Messages =
            [
                .. request.Messages,
                new ChatMessage(ChatRole.Assistant, "") { ToolCalls = CallsOf(events) },
                new ChatMessage(ChatRole.Tool, "맑음") { ToolCallId = "c1", Name = "weather" },
            ],
        });

        var messages = _upstream.LastBody["messages"]!;
        Assert.Equal("""{"city":"서울"}""", (string?)messages[1]!["tool_calls"]![0]!["function"]!["arguments"]);
        Assert.Equal(("tool", "c1", "맑음"), ((string?)messages[2]!["role"], (string?)messages[2]!["tool_call_id"], (string?)messages[2]!["content"]));
    }

    [Fact]
    public async Task OneCallATurn_IsHeldToThoughTheServerSendsMore()
    {
        _upstream.Streams(Sse(
            Delta(new { tool_calls = new object[] { new { index = 3, function = new { name = "a", arguments = "{}" } }, new { index = 4, function = new { name = "b", arguments = "{}" } } } }),
            Delta(new { }, "stop")));

        var events = await AllAsync(_upstream.Generator(ProviderType.OpenAi), Hello with { Tools = [new Tool("a", "", "", false), new Tool("b", "", "", false)] });

        var call = Assert.Single(CallsOf(events));
        Assert.Equal("a", call.Name);
        Assert.StartsWith("call_", call.Id, StringComparison.Ordinal);
        Assert.Equal(FinishReason.ToolCalls, ((GenerationFinished)events[^1]).Reason);
    }

    [Fact]
    public async Task Logprobs_KeepBytesAndHaveNoIds()
    {
        _upstream.Streams(Sse(new
        {
            choices = new[]
            {
                new
                {
                    delta = new { content = "가" },
                    finish_reason = "length",
                    logprobs = new { content = new[] { new { token = "?", logprob = -0.5, bytes = new[] { 0xEA, 0xB0 }, top_logprobs = new[] { new { token = "나", logprob = -1.5 } } } } },
                },
            },
        }));

        var events = await AllAsync(_upstream.Generator(ProviderType.OpenAi), Hello with { Logprobs = true, TopLogprobs = 1 });

        var logprob = Assert.Single(events.OfType<GenerationDelta>().Single().Logprobs);
        Assert.Equal((-1, -0.5f, "EAB0", "나"), (logprob.TokenId, logprob.Logprob, Convert.ToHexString(logprob.Bytes.Span), System.Text.Encoding.UTF8.GetString(logprob.Top[0].Bytes.Span)));
        Assert.Equal(FinishReason.Length, ((GenerationFinished)events[^1]).Reason);
        Assert.Equal((true, 1), ((bool)_upstream.LastBody["logprobs"]!, (int)_upstream.LastBody["top_logprobs"]!));
    }

    [Fact]
    public async Task StopSequencesBeyondFour_AreLookedForHereAndCloseTheCall()
    {
        _upstream.StreamsAndHangs(Sse(Delta(new { content = "one tw" }), Delta(new { content = "o three" })));

        var events = await AllAsync(_upstream.Generator(ProviderType.OpenAi), Hello with { Stop = ["a", "b", "c", "d", "two"] });

        Assert.Equal("one ", TextOf(events));
        Assert.Equal(FinishReason.Stop, ((GenerationFinished)events[^1]).Reason);
        Assert.Equal(4, _upstream.LastBody["stop"]!.AsArray().Count);
        await Eventually.TrueAsync(() => _upstream.Abandoned == 1);
    }

    [Fact]
    public async Task Cancelling_ClosesTheCallAtOnce()
    {
        _upstream.StreamsAndHangs(Sse(Delta(new { content = "one" })));
        using var cancel = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var generationEvent in _upstream.Generator(ProviderType.OpenAi).GenerateAsync(Hello, cancel.Token))
            {
                if (generationEvent is GenerationDelta)
                    await cancel.CancelAsync();
            }
        });

        await Eventually.TrueAsync(() => _upstream.Abandoned == 1, timeout: TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task LeavingTheStream_ClosesTheCall()
    {
        _upstream.StreamsAndHangs(Sse(Delta(new { content = "one" })));
        var generator = _upstream.Generator(ProviderType.OpenAi);

        await foreach (var generationEvent in generator.GenerateAsync(Hello, CancellationToken.None))
        {
            if (generationEvent is GenerationDelta)
                break;
        }

        await Eventually.TrueAsync(() => _upstream.Abandoned == 1 && generator.Activity.Running == 0);
    }

    [Theory]
    [InlineData(401, """{"error":{"message":"Incorrect API key provided: k-3c9e","type":"invalid_request_error","code":"invalid_api_key"}}""", nameof(EngineError.Unavailable), "administrator")]
    [InlineData(403, "", nameof(EngineError.Unavailable), "administrator")]
    [InlineData(404, """{"error":{"code":"model_not_found"}}""", nameof(EngineError.ModelNotFound), "model_not_found")]
    [InlineData(400, """{"error":{"message":"about 안녕하세요","param":"top_logprobs","type":"invalid_request_error"}}""", nameof(EngineError.InvalidRequest), "top_logprobs")]
    [InlineData(400, """{"error":{"code":"context_length_exceeded"}}""", nameof(EngineError.NotSupported), "longer than the context")]
    [InlineData(400, """{"error":{"code":400,"type":"exceed_context_size_error"}}""", nameof(EngineError.NotSupported), "longer than the context")]
    [InlineData(413, "", nameof(EngineError.NotSupported), "too large")]
    [InlineData(429, "<html>slow down</html>", nameof(EngineError.QueueFull), "limits")]
    [InlineData(500, """{"error":"안녕하세요"}""", nameof(EngineError.Unavailable), "500")]
    [InlineData(307, "", nameof(EngineError.Unavailable), "redirects")]
    public async Task Refusals_HaveTheirMeaningAndTellNoSecrets(int status, string body, string error, string says)
    {
        _upstream.Refuses(status, body, ("Location", "http://127.0.0.1:1/"), ("Retry-After", "7"));

        var exception = await FailureAsync(_upstream.Generator(ProviderType.OpenAi));

        Assert.Equal((error, true), (exception.Error.ToString(), exception.Upstream));
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("안녕하세요", exception.Message + _upstream.Logs.All, StringComparison.Ordinal);
        Assert.DoesNotContain("k-3c9e", exception.Message + _upstream.Logs.All, StringComparison.Ordinal);
        Assert.Single(_upstream.Asked);
        if (status is 429 or 500)
            Assert.Equal(TimeSpan.FromSeconds(7), exception.RetryAfter);
    }

    [Theory]
    [InlineData("""{"error":{"message":"안녕하세요","type":"server_error"}}""", "server_error")]
    [InlineData("not json", "cannot be read")]
    [InlineData("""{"choices":[{"delta":{"content":"\ud83d"}}]}""", "cannot be read")]
    [InlineData("""{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}""", "none came")]
    public async Task AFailureInTheStream_IsAFailure(string message, string says)
    {
        _upstream.Streams(Sse(Delta(new { content = "one" }), message));

        var exception = await FailureAsync(_upstream.Generator(ProviderType.OpenAi));

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("안녕하세요", exception.Message + _upstream.Logs.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AStreamThatEndsEarly_IsNeverAnEmptySuccess()
    {
        _upstream.Streams("");
        Assert.Equal(EngineError.Unavailable, (await FailureAsync(_upstream.Generator(ProviderType.OpenAi))).Error);

        _upstream.Streams(Sse(Delta(new { content = "half" }), "[DONE]"));
        Assert.Equal(EngineError.Unavailable, (await FailureAsync(_upstream.Generator(ProviderType.OpenAi))).Error);

        _upstream.Answer = async context =>
        {
            await Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, Sse(Delta(new { content = "half" })));
            await context.Response.Body.FlushAsync();
            context.Abort();
        };
        Assert.Equal(EngineError.Unavailable, (await FailureAsync(_upstream.Generator(ProviderType.OpenAi))).Error);
    }

    [Fact]
    public async Task ContentFilter_IsARefusal()
    {
        _upstream.Streams(Sse(Delta(new { content = "one" }), Delta(new { }, "content_filter")));

        Assert.Equal(EngineError.NotSupported, (await FailureAsync(_upstream.Generator(ProviderType.OpenAi))).Error);
    }

    [Fact]
    public async Task AnEndlessMessage_IsGivenUp()
    {
        _upstream.Answer = async context =>
        {
            await context.Response.Body.WriteAsync("data: "u8.ToArray());
            var block = new byte[64 * 1024];
            Array.Fill(block, (byte)'x');
            while (!context.RequestAborted.IsCancellationRequested)
                await context.Response.Body.WriteAsync(block, context.RequestAborted);
        };

        var exception = await FailureAsync(_upstream.Generator(ProviderType.OpenAi));

        Assert.Contains("more than a reply can hold", exception.Message, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => _upstream.Abandoned == 1);
    }

    [Fact]
    public async Task SilenceBeforeTheAnswer_InItAndAnAnswerWithoutEnd_PassTheirLimits()
    {
        var time = new ManualTimeProvider();
        _upstream.Answer = context => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
        Assert.Contains("did not begin", await TimedOutAsync(TimeSpan.FromMinutes(1), 1), StringComparison.Ordinal);

        _upstream.StreamsAndHangs(Sse(Delta(new { content = "one" })));
        Assert.Contains("fell silent", await TimedOutAsync(TimeSpan.FromMinutes(1), 2, afterText: true), StringComparison.Ordinal);

        Assert.Contains("longer than", await TimedOutAsync(TimeSpan.FromMinutes(10), 3, afterText: true), StringComparison.Ordinal);
        await Eventually.TrueAsync(() => _upstream.Abandoned == 3);

        async Task<string> TimedOutAsync(TimeSpan limit, int asked, bool afterText = false)
        {
            var generator = _upstream.Generator(ProviderType.OpenAi, provider => provider.IdleTimeout = limit == provider.Timeout ? TimeSpan.FromHours(1) : provider.IdleTimeout, time: time);
            var said = new TaskCompletionSource();
            var failing = Assert.ThrowsAsync<EngineException>(async () =>
            {
                await foreach (var generationEvent in generator.GenerateAsync(Hello, CancellationToken.None))
                {
                    if (generationEvent is GenerationDelta)
                        said.TrySetResult();
                }
            });
            await Eventually.TrueAsync(() => _upstream.Asked.Count == asked);
            if (afterText)
            {
                await said.Task.WaitAsync(TimeSpan.FromSeconds(30));

                // Reading goes on a moment after the text was handed over; the clock must not run out before it waits again.
                await Eventually.TrueAsync(() =>
                {
                    time.Advance(limit / 10);
                    return failing.IsCompleted;
                });
            }
            else
            {
                time.Advance(limit);
            }

            var exception = await failing.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal(EngineError.Unavailable, exception.Error);
            return exception.Message;
        }
    }

    [Fact]
    public async Task NobodyListening_IsTriedTwiceAndUnavailable()
    {
        var generator = _upstream.Generator(ProviderType.OpenAi, provider => provider.BaseAddress = new Uri("http://127.0.0.1:1/"));

        var exception = await FailureAsync(generator);

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains("cannot be reached", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MoreCallsThanAllowed_AreRefusedWithTheNumbers()
    {
        _upstream.StreamsAndHangs(Sse(Delta(new { content = "one" })));
        var generator = _upstream.Generator(ProviderType.OpenAi, provider => provider.MaxConcurrentCalls = 1);
        await using var first = generator.GenerateAsync(Hello, CancellationToken.None).GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await first.MoveNextAsync());

        var exception = await FailureAsync(generator);

        Assert.Equal((EngineError.QueueFull, 1), (exception.Error, exception.Running));
        await first.DisposeAsync();
        _upstream.Streams(Sse(Delta(new { content = "two" }, "stop")));
        Assert.Equal("two", TextOf(await AllAsync(generator, Hello)));
    }

    [Fact]
    public async Task ExtendedServers_GetWhatTheyAddAndContinue()
    {
        _upstream.Streams(Sse(Delta(new { content = " world" }, "stop")));
        var request = Hello with
        {
            ContinueFrom = "hello",
            MaxTokens = 9,
            Sampling = new SamplingParameters { TopK = 7, MinP = 0.1f, RepetitionPenalty = 1.1f, Seed = 4_000_000_000, Dry = new DryParameters(0.8f, 1.75f, 2, -1, ["\n"]) },
            Reasoning = new ReasoningOptions(Enabled: false),
            TemplateArguments = new Dictionary<string, string> { ["date"] = "\"today\"" },
        };

        await AllAsync(_upstream.Generator(ProviderType.OpenAi, provider => provider.Extended = true), request);

        var body = _upstream.LastBody;
        Assert.Equal((9, 7, 0.1m, 1.1m, 1.1m, 0.8f), ((int)body["max_tokens"]!, (int)body["top_k"]!, (decimal)body["min_p"]!, (decimal)body["repetition_penalty"]!, (decimal)body["repeat_penalty"]!, (float)body["dry_multiplier"]!));
        Assert.Equal((false, true, "assistant", "hello"), ((bool)body["add_generation_prompt"]!, (bool)body["continue_final_message"]!, (string?)body["messages"]![1]!["role"], (string?)body["messages"]![1]!["content"]));
        Assert.Equal((false, "today"), ((bool)body["chat_template_kwargs"]!["enable_thinking"]!, (string?)body["chat_template_kwargs"]!["date"]));
        Assert.InRange((long)body["seed"]!, 0, int.MaxValue);
    }

    [Fact]
    public async Task SchemaAndTopKOne_AreSaidWithWhatThereIs()
    {
        _upstream.Streams(Sse(Delta(new { content = "{}" }, "stop")));

        await AllAsync(_upstream.Generator(ProviderType.OpenAi), Hello with
        {
            ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"object"}"""),
            Sampling = new SamplingParameters { TopK = 1, Xtc = new XtcParameters(0.5f, 0.1f) },
            Reasoning = new ReasoningOptions(Effort: "high"),
        });

        var body = _upstream.LastBody;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"type":"json_schema","json_schema":{"name":"reply","strict":true,"schema":{"type":"object"}}}"""), body["response_format"]));
        Assert.Equal((0m, "high"), ((decimal)body["temperature"]!, (string?)body["reasoning_effort"]));
        Assert.Contains("top_k, xtc", _upstream.Logs.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FixedSampling_SendsNone()
    {
        _upstream.Streams(Sse(Delta(new { content = "x" }, "stop")));

        await AllAsync(_upstream.Generator(ProviderType.OpenAi, model: model => model.FixedSampling = true), Hello with { Sampling = new SamplingParameters { Temperature = 0.1f, FrequencyPenalty = 1 } });

        Assert.False(_upstream.LastBody.ContainsKey("temperature") || _upstream.LastBody.ContainsKey("top_p") || _upstream.LastBody.ContainsKey("frequency_penalty"));
    }

    public ValueTask InitializeAsync() => _upstream.InitializeAsync();

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    private static object Delta(object delta, string? finish = null) => new { id = "x", @object = "chat.completion.chunk", choices = new[] { new { index = 0, delta, finish_reason = finish } } };
}
