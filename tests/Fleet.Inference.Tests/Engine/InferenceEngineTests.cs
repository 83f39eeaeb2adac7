using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;
using Fleet.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fleet.Inference.Tests.Engine;

/// <summary>The engine on a runner that spells out a fixed text and fails when told to.</summary>
public sealed class InferenceEngineTests
{
    [Fact]
    public async Task Generate_DecodeFails_EndsTheReplyFreesItsCellsAndGoesOn()
    {
        var runner = new FakeModelRunner("안녕");
        await using var engine = Engine(runner);
        runner.Outcome = Once(DecodeStatus.Failed);

        var exception = await Assert.ThrowsAsync<EngineException>(() => TextAsync(engine));

        Assert.Equal(EngineError.Internal, exception.Error);
        Assert.Equal(0, runner.CellsUsed);
        Assert.Equal("안녕", await TextAsync(engine));
    }

    [Fact]
    public async Task Generate_RunnerThrows_EndsTheReplyAndGoesOn()
    {
        var runner = new FakeModelRunner("abc");
        await using var engine = Engine(runner);
        runner.Outcome = _ =>
        {
            runner.Outcome = null;
            throw new InvalidOperationException("bug");
        };

        Assert.Equal(EngineError.Internal, (await Assert.ThrowsAsync<EngineException>(() => TextAsync(engine))).Error);
        Assert.Equal("abc", await TextAsync(engine));
    }

    [Fact]
    public async Task Generate_OneOfSeveralCannotBeComputed_EndsThatOneOnly()
    {
        // Whatever batch holds the poisoned prompt fails as a whole, as in llama.cpp.
        var runner = new FakeModelRunner("abcdef") { BatchTokens = 40 };
        await using var engine = Engine(runner);
        runner.Outcome = plan => plan.Shares.Any(share => share.Sequence.Tokens[0] == '!') ? DecodeStatus.Failed : DecodeStatus.Done;

        var good = Enumerable.Range(0, 6).Select(i => TextAsync(engine, new string((char)('a' + i), 4))).ToList();
        var bad = TextAsync(engine, "!bad");

        Assert.Equal(EngineError.Internal, (await Assert.ThrowsAsync<EngineException>(() => bad)).Error);
        Assert.All(await Task.WhenAll(good), text => Assert.Equal("abcdef", text));
    }

    [Fact]
    public async Task Generate_NoRoom_ForgetsWhatIsOnlyKeptAndGoesOn()
    {
        var runner = new FakeModelRunner("abc");
        await using var engine = Engine(runner);
        await TextAsync(engine, "a prompt that stays in the cache");
        Assert.NotEqual(0, runner.CellsUsed);
        runner.Outcome = Once(DecodeStatus.NoRoom);

        Assert.Equal("abc", await TextAsync(engine, "another question"));
    }

    [Fact]
    public async Task Generate_StepAborted_IsComputedAgainWithOneThread()
    {
        var runner = new FakeModelRunner("abc");
        await using var engine = Engine(runner, options => options.Threads = 2);
        runner.Outcome = Once(DecodeStatus.Aborted);

        Assert.Equal("abc", await TextAsync(engine));
        Assert.Equal(1, runner.Threads[^1]);
    }

    [Fact]
    public async Task Generate_ManyAtOnceThroughFewPlaces_AllFinishAndOnlyTheCacheIsLeft()
    {
        var runner = new FakeModelRunner("가나다 abc");
        await using var engine = Engine(runner);

        var texts = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => TextAsync(engine, $"question {i}")));

        Assert.All(texts, text => Assert.Equal("가나다 abc", text));
        Assert.Equal(0, engine.Activity.Running);
        var gauges = engine.Activity.Gauges!;
        Assert.Equal((gauges.KvCellsUsed, gauges.KvCellsUsed), (gauges.KvCellsCached, runner.CellsUsed));
    }

    [Fact]
    public async Task Generate_SamePromptAgain_IsTakenFromTheCache_AndOnlyWithinTheTenant()
    {
        var runner = new FakeModelRunner("abc");
        await using var engine = Engine(runner);
        const string Prompt = "a system prompt of some length";
        var first = await EventsAsync(engine, Request(Prompt, "one"));
        var again = await EventsAsync(engine, Request(Prompt, "one"));
        var foreign = await EventsAsync(engine, Request(Prompt, "two"));
        var bypassed = await EventsAsync(engine, Request(Prompt, "one") with { BypassPrefixCache = true });

        Assert.Equal(
            [0, Prompt.Length - 1, 0, 0],
            ((List<GenerationEvent>[])[first, again, foreign, bypassed]).Select(events => ((GenerationStarted)events[0]).CachedTokens));
        Assert.All((List<GenerationEvent>[])[first, again, foreign, bypassed], events => Assert.Equal("abc", Text(events)));
    }

    [Fact]
    public async Task Generate_SamePromptAtOnce_IsComputedOnce()
    {
        var runner = new FakeModelRunner("abc") { MaxRunning = 6, BatchTokens = 16 };
        await using var engine = Engine(runner);
        var prompt = new string('x', 50);
        var release = new ManualResetEventSlim();
        runner.BeforeDecode = _ => release.Wait(TimeSpan.FromSeconds(10));

        var all = Enumerable.Range(0, 6).Select(_ => EventsAsync(engine, Request(prompt, "one"))).ToList();
        await Eventually.TrueAsync(() => engine.Activity.Running + engine.Activity.Queued == 6);
        release.Set();
        var events = await Task.WhenAll(all);

        Assert.Equal(5, events.Count(reply => ((GenerationStarted)reply[0]).CachedTokens == 49));
        Assert.InRange(runner.MostCells, 50, 50 + (6 * 5));
    }

    [Fact]
    public async Task Generate_CacheTooSmallForAll_PreemptsAndAllFinishTheSame()
    {
        // Three replies of 41 cells share 80.
        var runner = new FakeModelRunner(new string('y', 30)) { Cells = 80 };
        await using var engine = Engine(runner);

        var texts = await Task.WhenAll(Enumerable.Range(0, 9).Select(i => TextAsync(engine, $"question {i:D2}")));

        Assert.All(texts, text => Assert.Equal(new string('y', 30), text));
        Assert.True(engine.Activity.Gauges!.Preemptions > 0);
    }

    [Fact]
    public async Task Generate_TextThatRepeats_IsGuessedAndUnchanged()
    {
        var reply = string.Concat(Enumerable.Repeat("the same words ", 12));
        var runner = new FakeModelRunner(reply) { ContextTokens = 256, Cells = 256, BatchTokens = 32 };
        await using var engine = Engine(runner, options => options.Threads = 1);

        var events = await EventsAsync(engine, Request("question", "one"));

        Assert.Equal(reply, Text(events));
        var finished = (GenerationFinished)events[^1];
        Assert.True(finished.AcceptedTokens > 20, $"{finished.AcceptedTokens} of {finished.DraftedTokens}");
        Assert.InRange(finished.AcceptedTokens, 1, finished.DraftedTokens);
        Assert.Equal(reply.Length, finished.CompletionTokens);
        Assert.True(runner.Decodes < reply.Length);
    }

    [Fact]
    public async Task Generate_WithoutSpeculation_GuessesNothing()
    {
        await using var engine = Engine(new FakeModelRunner("abcabcabcabcabc"), options => options.Speculation = false);

        var finished = (GenerationFinished)(await EventsAsync(engine, Request("abcabcabc", "one")))[^1];

        Assert.Equal(0, finished.DraftedTokens);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(257)]
    [InlineData(int.MaxValue)]
    public async Task Generate_TokenIdThatDoesNotExist_IsRefused(int token)
    {
        await using var engine = Engine(new FakeModelRunner("abc"));

        var exception = await Assert.ThrowsAsync<EngineException>(() => EventsAsync(engine, Request("", "one") with { PromptTokens = [1, token] }));

        Assert.Equal(EngineError.InvalidRequest, exception.Error);
    }

    [Fact]
    public async Task Generate_TokenIds_AreThePrompt()
    {
        await using var engine = Engine(new FakeModelRunner("abc"));

        var events = await EventsAsync(engine, Request("", "one") with { PromptTokens = [1, 2, 3] });

        Assert.Equal((3, "abc"), (((GenerationStarted)events[0]).PromptTokens, Text(events)));
    }

    [Fact]
    public async Task Generate_IgnoringTheEnd_GoesOnToTheLimit()
    {
        await using var engine = Engine(new FakeModelRunner("ab"));

        var finished = (GenerationFinished)(await EventsAsync(engine, Request("q", "one") with { IgnoreEnd = true, MaxTokens = 9 }))[^1];

        Assert.Equal((FinishReason.Length, 9), (finished.Reason, finished.CompletionTokens));
    }

    [Fact]
    public async Task Generate_DeadlineInThePast_IsRefused_AndOneThatPassesEndsTheReply()
    {
        var time = new ManualTimeProvider();
        var runner = new FakeModelRunner(new string('z', 40));
        await using var engine = Engine(runner, time: time);
        var late = Request("q", "one") with { Deadline = time.GetUtcNow() };
        Assert.Equal(EngineError.DeadlineExceeded, (await Assert.ThrowsAsync<EngineException>(() => EventsAsync(engine, late))).Error);

        runner.BeforeDecode = plan => time.Advance(TimeSpan.FromSeconds(1));
        var passing = Request("q", "one") with { Deadline = time.GetUtcNow() + TimeSpan.FromSeconds(5) };

        Assert.Equal(EngineError.DeadlineExceeded, (await Assert.ThrowsAsync<EngineException>(() => EventsAsync(engine, passing))).Error);
        Assert.Equal(0, engine.Activity.Running);
        Assert.InRange(runner.Decodes, 4, 7);
    }

    [Fact]
    public async Task Generate_Adapters_AreCheckedAndSetPerDecode()
    {
        var runner = new FakeModelRunner("abc");
        runner.Adapters.Add("lora");
        await using var engine = Engine(runner);
        var unknown = Request("q", "one") with { Adapters = [new AdapterChoice("none", 1)] };
        Assert.Equal(EngineError.InvalidRequest, (await Assert.ThrowsAsync<EngineException>(() => EventsAsync(engine, unknown))).Error);

        var adapted = EventsAsync(engine, Request("q", "one") with { Adapters = [new AdapterChoice("lora", 0.5f)] });
        var plain = EventsAsync(engine, Request("q", "one"));

        Assert.Equal(("abc", "abc"), (Text(await adapted), Text(await plain)));
        Assert.Contains("lora", runner.AdaptersUsed);
        Assert.Contains("", runner.AdaptersUsed);
    }

    [Fact]
    public async Task Generate_ThroughAParser_SplitsReasoningAndCounts()
    {
        await using var engine = Engine(new FakeModelRunner("hmm|yes"), services: new EngineServices { Format = new BarFormat() });

        var events = await EventsAsync(engine, Request("q", "one"));

        Assert.Equal(("yes", "hmm"), (Text(events), string.Concat(events.OfType<GenerationDelta>().Select(delta => delta.Reasoning))));
        Assert.Equal(3, ((GenerationFinished)events[^1]).ReasoningTokens);
    }

    [Fact]
    public async Task Generate_JsonThatIsNone_IsNeverStop()
    {
        await using var engine = Engine(new FakeModelRunner("{\"a\":"));
        await using var good = Engine(new FakeModelRunner("{\"a\":1}"));
        var request = Request("q", "one") with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonObject) };

        Assert.Equal(EngineError.Internal, (await Assert.ThrowsAsync<EngineException>(() => EventsAsync(engine, request))).Error);
        Assert.Equal(FinishReason.Stop, ((GenerationFinished)(await EventsAsync(good, request))[^1]).Reason);
        Assert.Equal(FinishReason.Length, ((GenerationFinished)(await EventsAsync(engine, request with { MaxTokens = 2 }))[^1]).Reason);
    }

    [Fact]
    public async Task Dispose_GivesTheRunnerBack_AndRefusesLaterRequests()
    {
        var runner = new FakeModelRunner("abc");
        var engine = Engine(runner);
        await engine.DisposeAsync();
        await engine.DisposeAsync();

        Assert.True(runner.Disposed);
        Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => TextAsync(engine))).Error);
    }

    private static Func<BatchPlan, DecodeStatus> Once(DecodeStatus status)
    {
        var left = 1;
        return _ => left-- > 0 ? status : DecodeStatus.Done;
    }

    private static InferenceEngine Engine(FakeModelRunner runner, Action<EngineOptions>? configure = null, TimeProvider? time = null, EngineServices? services = null)
    {
        var options = new EngineOptions();
        configure?.Invoke(options);
        return new InferenceEngine("fake", runner, options, time ?? TimeProvider.System, NullLogger<InferenceEngine>.Instance, services);
    }

    private static GenerationRequest Request(string prompt, string tenant) => new()
    {
        RequestId = "r",
        Prompt = prompt,
        Requester = new Requester(tenant, "", Lane.Interactive),
        Sampling = new SamplingParameters { Temperature = 0 },
    };

    private static async Task<string> TextAsync(InferenceEngine engine, string prompt = "question") => Text(await EventsAsync(engine, Request(prompt, "")));

    private static async Task<List<GenerationEvent>> EventsAsync(InferenceEngine engine, GenerationRequest request)
    {
        var events = await engine.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync();
        Assert.IsType<GenerationFinished>(events[^1]);
        return events;
    }

    private static string Text(List<GenerationEvent> events) => string.Concat(events.OfType<GenerationDelta>().Select(delta => delta.Text));

    /// <summary>What stands before a bar is reasoning.</summary>
    private sealed class BarFormat : IPromptFormat
    {
        public FormatCapabilities Capabilities { get; } = new(Tools: false, Reasoning: true, JsonSchema: false, Grammar: false);

        public PreparedPrompt Prepare(GenerationRequest request) => new() { Tokens = [.. Encoding.UTF8.GetBytes(request.Prompt)], Parser = new BarParser() };
    }

    private sealed class BarParser : IReplyParser
    {
        private bool _answering;

        public bool HasToolCalls => false;

        public ParsedDelta Append(string text)
        {
            if (_answering)
                return new ParsedDelta(text, "", []);
            _answering = text == "|";
            return new ParsedDelta("", _answering ? "" : text, []);
        }

        public ParsedDelta Finish(bool complete) => ParsedDelta.Empty;
    }
}
