using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Fleet.Contracts.Events;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Resilience;
using Fleet.Inference.Models;
using Fleet.Inference.Telemetry;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Resilience;

public sealed class ModelCallsTests : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-calls-").FullName;
    private readonly ManualTimeProvider _time = new();
    private readonly FakeModels _fakes = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly CircuitBreakers _circuits;
    private readonly ModelHost _host;
    private readonly ModelCatalogue _catalogue;
    private readonly ModelRouting _routing;
    private readonly ModelCalls _calls;

    public ModelCallsTests()
    {
        var chain = new ModelOptions();
        chain.FallBack.Add("up/b");
        chain.FallBack.Add("other/c");
        var models = Options.Create(new ModelsOptions { ModelsDirectory = _directory, Models = { ["up/a"] = chain } });
        _catalogue = new ModelCatalogue(models, NullLogger<ModelCatalogue>.Instance, _fakes);
        _routing = new ModelRouting(_catalogue, new NoLoader(), models);
        var memory = new ModelMemory(new MachineMemory(() => []), models, Options.Create(new EngineOptions()));
        _host = new ModelHost(_catalogue, new NoLoader(), _routing, memory, new ModelEvents(new NoBroker(), NullLogger<ModelEvents>.Instance), models, _time, NullLogger<ModelHost>.Instance, _fakes);
        var meters = _services.GetRequiredService<IMeterFactory>();
        _circuits = new CircuitBreakers(Options.Create(new CircuitOptions()), meters, _time, NullLogger<CircuitBreakers>.Instance);
        _calls = new ModelCalls(_host, _routing, _circuits, new InferenceMetrics(meters), _time, NullLogger<ModelCalls>.Instance);
    }

    [Fact]
    public async Task AModelThatWorks_Answers()
    {
        Assert.Equal(["started up/a", "text up/a", "finished up/a ()"], await SayAsync("up/a"));
        Assert.All(_circuits.List(), circuit => Assert.Equal(CircuitState.Closed, circuit.State));
        Assert.Equal(["model:up/a", "upstream:up"], _circuits.List().Select(circuit => circuit.Name));
    }

    [Fact]
    public async Task FailingBeforeItStarts_TheNextAnswersAndStartedSaysSo()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "down"));

        Assert.Equal(["started up/b", "text up/b", "finished up/b ()"], await SayAsync("up/a"));
    }

    [Fact]
    public async Task FailingAfterStartedAndBeforeTheFirstToken_TheEndingSaysWhoAnswered()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "down"), after: 1);
        _fakes.Fail("up/b", new InvalidOperationException("a bug"), after: 0);

        Assert.Equal(["started up/a", "text other/c", "finished other/c (other/c)"], await SayAsync("up/a"));
    }

    [Fact]
    public async Task FailingAfterTheFirstToken_IsReportedAndNothingIsSwitched()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "broke"), after: 2);
        var said = new List<string>();

        var exception = await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/a", said));

        Assert.Equal("broke", exception.Message);
        Assert.Equal(["started up/a", "text up/a"], said);
    }

    [Fact]
    public async Task AnEngineThatStopsWithoutAnEnding_HasFailed()
    {
        _fakes.Fail("up/b", null, after: 2);

        var exception = await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/b"));

        Assert.Equal(EngineError.Internal, exception.Error);
        Assert.Equal(1, _circuits.List().Single(circuit => circuit.Name == "model:up/b").ConsecutiveFailures);
    }

    [Fact]
    public async Task AllFail_TheReasonOfTheModelAskedForIsTold()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "first") { RetryAfter = TimeSpan.FromSeconds(7) });
        _fakes.Fail("up/b", new EngineException(EngineError.InvalidRequest, "second"));
        _fakes.Fail("other/c", new EngineException(EngineError.Unavailable, "third"));

        var exception = await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/a"));

        Assert.Equal(("first", EngineError.Unavailable, TimeSpan.FromSeconds(7)), (exception.Message, exception.Error, exception.RetryAfter));
    }

    [Theory]
    [InlineData(nameof(EngineError.InvalidRequest), false)]
    [InlineData(nameof(EngineError.NotSupported), true)]
    [InlineData(nameof(EngineError.QueueFull), false)]
    public async Task WhatTheCallerIsToBlameFor_NeitherFallsBackNorCounts(string error, bool upstream)
    {
        _fakes.Fail("up/a", new EngineException(Enum.Parse<EngineError>(error), "no") { Upstream = upstream });

        for (var i = 0; i < 6; i++)
            Assert.Equal(Enum.Parse<EngineError>(error), (await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/a"))).Error);

        Assert.All(_circuits.List(), circuit => Assert.Equal((CircuitState.Closed, 0), (circuit.State, circuit.ConsecutiveFailures)));
    }

    [Fact]
    public async Task AnUpstreamsRateLimit_FallsBackWithoutCounting()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.QueueFull, "slowly") { Upstream = true });

        Assert.Equal("started up/b", (await SayAsync("up/a"))[0]);
        Assert.All(_circuits.List(), circuit => Assert.Equal(0, circuit.ConsecutiveFailures));
    }

    [Fact]
    public async Task AContinuationAHostedModelCannotTake_GoesToOneThatCan()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.NotSupported, "no prefill") { Upstream = true });

        Assert.Equal("started up/b", (await SayAsync("up/a", request: Request with { ContinueFrom = "so far" }))[0]);
    }

    [Fact]
    public async Task WhatNamesTokensOfOneModel_GoesToNoOther()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "down"));
        var biased = Request with { Sampling = new SamplingParameters { LogitBias = new Dictionary<int, float> { [7] = 1 } } };

        Assert.Equal("down", (await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/a", request: biased))).Message);
    }

    [Fact]
    public async Task FiveFailures_OpenModelAndUpstream_AndTheChainGoesOnElsewhere()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "down"));
        _fakes.Fail("up/b", new EngineException(EngineError.Unavailable, "down"));
        for (var i = 0; i < 5; i++)
            Assert.Equal("started other/c", (await SayAsync("up/a"))[0]);
        Assert.Equal(CircuitState.Open, StateOf("upstream:up"));
        _fakes.Calls.Clear();

        var said = await SayAsync("up/a");
        var refused = await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/b"));

        Assert.Equal("started other/c", said[0]);
        Assert.Equal(["other/c"], _fakes.Calls);
        Assert.Equal((EngineError.Unavailable, TimeSpan.FromMinutes(1)), (refused.Error, refused.RetryAfter));

        _fakes.Heal();
        _time.Advance(TimeSpan.FromMinutes(1));
        for (var i = 0; i < 3; i++)
            Assert.Equal("started up/a", (await SayAsync("up/a"))[0]);
        Assert.Equal((CircuitState.Closed, CircuitState.Closed), (StateOf("upstream:up"), StateOf("model:up/a")));
    }

    [Fact]
    public async Task AModelTheUpstreamDoesNotKnow_ClosesOnlyItself()
    {
        _fakes.Fail("up/b", new EngineException(EngineError.ModelNotFound, "unknown there"));
        for (var i = 0; i < 5; i++)
            await Assert.ThrowsAsync<EngineException>(() => SayAsync("up/b"));

        Assert.Equal((CircuitState.Open, CircuitState.Closed), (StateOf("model:up/b"), StateOf("upstream:up")));
        Assert.Equal("started up/a", (await SayAsync("up/a"))[0]);
    }

    [Fact]
    public async Task Cancelled_CountsNothingAndFallsBackNowhere()
    {
        _fakes.Hang("up/a");
        for (var i = 0; i < 6; i++)
        {
            using var cancel = new CancellationTokenSource();
            var saying = SayAsync("up/a", cancellationToken: cancel.Token);
            await Eventually.TrueAsync(() => _fakes.Calls.Count == i + 1);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => saying);
        }

        Assert.All(_fakes.Calls, call => Assert.Equal("up/a", call));
        Assert.All(_circuits.List(), circuit => Assert.Equal((CircuitState.Closed, 0), (circuit.State, circuit.ConsecutiveFailures)));
    }

    [Fact]
    public async Task SeveralChoices_ComeFromOneModelAndFallBackTogether()
    {
        _fakes.Fail("up/a", new EngineException(EngineError.Unavailable, "down"), after: 1);
        var said = new List<(string, int, Type)>();

        await foreach (var reply in _calls.GenerateAsync("up/a", [Request, Request with { RequestId = "r/1" }], CancellationToken.None))
            said.Add((reply.Model, reply.Choice, reply.Event.GetType()));

        Assert.Single(said, item => item.Item3 == typeof(GenerationStarted));
        Assert.Equal(2, said.Count(item => item is { Item1: "up/b" } && item.Item3 == typeof(GenerationFinished)));
        Assert.DoesNotContain(said, item => item.Item1 == "up/a" && item.Item3 != typeof(GenerationStarted));
    }

    [Fact]
    public async Task UnknownModel_IsNotFoundAndLeavesNoCircuit()
    {
        Assert.Equal(EngineError.ModelNotFound, (await Assert.ThrowsAsync<EngineException>(() => SayAsync("no/such"))).Error);
        Assert.Empty(_circuits.List());
    }

    [Fact]
    public async Task RemoteModels_AreListedNeverDefaultAndNeverUnloaded()
    {
        var listed = _host.List().Single(model => model.Model.Id == "up/a");
        Assert.Equal((ModelState.Ready, false, false, "openai"), (listed.State, listed.IsDefault, listed.Model.BuiltIn, listed.Model.Provider));
        Assert.Equal("fleet-extractive", _routing.Default(ModelKind.Chat));
        Assert.Equal(EngineError.NotSupported, (await Assert.ThrowsAsync<EngineException>(() => _host.UnloadAsync("up/a", CancellationToken.None))).Error);
        Assert.False(await _host.DeleteAsync("up/a", CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _catalogue.Dispose();
        await _services.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static GenerationRequest Request { get; } = new() { RequestId = "r", Messages = [new ChatMessage(ChatRole.User, "hello")] };

    private CircuitState StateOf(string circuit) => _circuits.List().Single(other => other.Name == circuit).State;

    private async Task<List<string>> SayAsync(string model, List<string>? said = null, GenerationRequest? request = null, CancellationToken cancellationToken = default)
    {
        said ??= [];
        await foreach (var reply in _calls.GenerateAsync(model, [request ?? Request], cancellationToken))
        {
            said.Add(reply.Event switch
            {
                GenerationStarted => $"started {reply.Model}",
                GenerationDelta => $"text {reply.Model}",
                GenerationFinished finished => $"finished {reply.Model} ({finished.Model})",
                _ => "?",
            });
        }

        return said;
    }

    /// <summary>Models of two upstreams that fail after as many events as they are told.</summary>
    private sealed class FakeModels : IRemoteModels
    {
        private readonly Dictionary<string, (Exception? Failure, int After)> _failures = [];
        private readonly HashSet<string> _hanging = [];

        public List<string> Calls { get; } = [];

        public IReadOnlyList<ModelDescription> Models { get; } =
            [.. new[] { "up/a", "up/b", "other/c" }.Select(id => new ModelDescription { Id = id, Kind = ModelKind.Chat, Provider = "openai", Upstream = id.Split('/')[0] })];

        public void Fail(string model, Exception? failure, int after = 0) => _failures[model] = (failure, after);

        public void Heal() => _failures.Clear();

        public void Hang(string model) => _hanging.Add(model);

        public IModelEngine Create(ModelDescription model) => new Engine(this, model.Id);

        private sealed class Engine(FakeModels owner, string id) : ITextGenerator
        {
            public EngineActivity Activity => EngineActivity.Idle;

            public async IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
            {
                lock (owner.Calls)
                    owner.Calls.Add(id);
                if (owner._hanging.Contains(id))
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
                await Task.Yield();
                GenerationEvent[] events =
                [
                    new GenerationStarted(3, 0, TimeSpan.Zero),
                    GenerationDelta.OfText("hi"),
                    new GenerationFinished(FinishReason.Stop, 3, 1, new GenerationTimings(default, default, default, default)),
                ];
                for (var i = 0; i <= events.Length; i++)
                {
                    if (owner._failures.TryGetValue(id, out var failure) && failure.After == i)
                    {
                        if (failure.Failure is null)
                            yield break;
                        throw failure.Failure;
                    }

                    if (i < events.Length)
                        yield return events[i];
                }
            }

            public TokenList Tokenize(string text) => new([], text.Length);

            public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([], 0);

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }

    private sealed class NoLoader : IModelLoader
    {
        public string? Unavailable => "no libraries";

        public IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    private sealed class NoBroker : IEventPublisher
    {
        public Task PublishAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
