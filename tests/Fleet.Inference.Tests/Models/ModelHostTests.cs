using Fleet.Contracts.Events;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Models;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models;

public sealed class ModelHostTests : IAsyncDisposable
{
    // What a tiny model takes with the options of Host, and a little.
    private const long TinyBytes = 11 << 20;

    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-host-").FullName;
    private readonly FakeLoader _loader = new();
    private readonly ManualTimeProvider _time = new();
    private readonly List<IAsyncDisposable> _hosts = [];

    [Fact]
    public async Task Acquire_ManyAtOnce_LoadOnceAndAllGetIt()
    {
        var host = Host("a");
        using var gate = _loader.Hold();

        var acquiring = Enumerable.Range(0, 20).Select(_ => host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).ToList();
        await Eventually.TrueAsync(() => _loader.Loaded.Count == 1);
        gate.Dispose();
        var leases = await Task.WhenAll(acquiring);

        Assert.Single(_loader.Loaded);
        Assert.All(leases, lease => Assert.Same(leases[0].Engine, lease.Engine));
    }

    [Fact]
    public async Task Acquire_CancelledWhileLoading_LeavesTheLoadToOthers()
    {
        var host = Host("a");
        using var gate = _loader.Hold();
        using var cancel = new CancellationTokenSource();
        var impatient = host.AcquireAsync<ITextGenerator>("a", cancel.Token);
        var patient = host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);
        gate.Dispose();

        using var lease = await patient;
        Assert.Single(_loader.Loaded);
    }

    [Fact]
    public async Task Unload_WhileLeased_WaitsAndRefusesNewRequests()
    {
        var host = Host("a");
        var lease = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);

        var unloading = host.UnloadAsync("a", CancellationToken.None);
        var refused = await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("a", CancellationToken.None));

        Assert.Equal(EngineError.Unavailable, refused.Error);
        Assert.False(unloading.IsCompleted);
        Assert.False(((FakeEngine)lease.Engine).Disposed);
        lease.Dispose();
        await unloading;
        Assert.True(((FakeEngine)lease.Engine).Disposed);
        using var again = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        Assert.NotSame(lease.Engine, again.Engine);
    }

    [Fact]
    public async Task Acquire_OverBudget_EvictsTheLeastRecentlyUsedIdleModel()
    {
        var host = Host(["a", "b", "c"], options => options.MemoryBudgetBytes = 2 * TinyBytes);
        foreach (var id in (string[])["a", "b"])
        {
            (await host.AcquireAsync<ITextGenerator>(id, CancellationToken.None)).Dispose();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        (await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).Dispose();
        using var lease = await host.AcquireAsync<ITextGenerator>("c", CancellationToken.None);

        Assert.Equal((ModelState.Ready, ModelState.Installed, ModelState.Ready), (StateOf(host, "a"), StateOf(host, "b"), StateOf(host, "c")));
    }

    [Fact]
    public async Task Acquire_OverBudgetAndAllBusy_IsUnavailableWithTheNumbers()
    {
        var host = Host(["a", "b"], options => options.MemoryBudgetBytes = TinyBytes);
        using var busy = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);

        var exception = await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("b", CancellationToken.None));

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains("MiB", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acquire_MoreThanTheBudgetAlone_SaysWhatIsNeededAndWhatToDo()
    {
        var host = Host(["a"], options => options.MemoryBudgetBytes = 1 << 20);

        var exception = await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("a", CancellationToken.None));

        Assert.Contains("of the budget of 1 MiB", exception.Message, StringComparison.Ordinal);
        Assert.Contains("Inference:Models:a: ContextTokens", exception.Message, StringComparison.Ordinal);
        Assert.Empty(_loader.Loaded);
    }

    [Fact]
    public async Task Acquire_AbsurdCache_IsRefusedBeforeAnythingIsAllocated()
    {
        var host = Host(["a"], options => options.Models["a"] = new ModelOptions { Cells = 2_000_000_000 });

        var exception = await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("a", CancellationToken.None));

        Assert.Contains("There is no room for a", exception.Message, StringComparison.Ordinal);
        Assert.Empty(_loader.Loaded);
    }

    [Fact]
    public async Task Acquire_BusyModelsBecomeIdle_TriesAgainSoon()
    {
        var host = Host(["a", "b"], options => options.MemoryBudgetBytes = TinyBytes);
        var busy = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("b", CancellationToken.None));
        busy.Dispose();
        _time.Advance(TimeSpan.FromSeconds(2));

        using var lease = await host.AcquireAsync<ITextGenerator>("b", CancellationToken.None);

        Assert.Equal(ModelState.Installed, StateOf(host, "a"));
    }

    [Fact]
    public async Task KeepAlive_Passed_UnloadsTheIdleModelButNotABusyOne()
    {
        var host = Host(["a", "b"], options => options.KeepAlive = TimeSpan.FromMinutes(5));
        (await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).Dispose();
        using var busy = await host.AcquireAsync<ITextGenerator>("b", CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(4));
        (await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).Dispose();
        _time.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal(ModelState.Ready, StateOf(host, "a"));

        _time.Advance(TimeSpan.FromMinutes(10));

        await Eventually.TrueAsync(() => StateOf(host, "a") == ModelState.Installed);
        Assert.Equal(ModelState.Ready, StateOf(host, "b"));
    }

    [Fact]
    public async Task KeepAlive_Zero_UnloadsWhenTheLastRequestEnds()
    {
        var host = Host(["a"], options => options.Models["a"] = new ModelOptions { KeepAlive = TimeSpan.Zero });
        var first = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        var second = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        first.Dispose();
        _time.Advance(TimeSpan.Zero);
        Assert.Equal(ModelState.Ready, StateOf(host, "a"));

        second.Dispose();
        _time.Advance(TimeSpan.Zero);

        await Eventually.TrueAsync(() => StateOf(host, "a") == ModelState.Installed);
        using var again = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        Assert.Equal(2, host.List().Single(model => model.Model.Id == "a").Statistics.Loads);
    }

    [Fact]
    public async Task KeepAlive_Negative_StaysForEver()
    {
        var host = Host("a");
        (await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).Dispose();

        _time.Advance(TimeSpan.FromDays(365));

        Assert.Equal((0, ModelState.Ready), (_time.Waiting, StateOf(host, "a")));
    }

    [Fact]
    public async Task Preload_LoadsTogetherAndIsReadyOnlyAfterwards()
    {
        var options = new ModelsOptions();
        foreach (var id in (string[])["a", "B", "missing"])
            options.Models[id] = new ModelOptions { Preload = true };
        var host = Host("a", "b");
        using var gate = _loader.Hold();
        using var preloader = new ModelPreloader(host, Options.Create(options), NullLogger<ModelPreloader>.Instance);
        var check = new ModelPreloadCheck(preloader);

        await preloader.StartAsync(CancellationToken.None);
        await Eventually.TrueAsync(() => _loader.Loaded.Count == 2);
        Assert.Equal(HealthStatus.Unhealthy, (await check.CheckHealthAsync(new HealthCheckContext())).Status);
        gate.Dispose();
        await preloader.Done;

        Assert.Equal(HealthStatus.Healthy, (await check.CheckHealthAsync(new HealthCheckContext())).Status);
        Assert.Equal((ModelState.Ready, ModelState.Ready), (StateOf(host, "a"), StateOf(host, "b")));
    }

    [Fact]
    public async Task List_TellsMemoryRolesAndUse()
    {
        var host = Host(["a"], options => options.Roles["guard"] = ["a"]);
        var before = host.List().Single(model => model.Model.Id == "a");
        Assert.Null(before.Statistics.LastUsed);
        (await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None)).Dispose();
        var after = host.List().Single(model => model.Model.Id == "a");

        Assert.InRange(before.MemoryBytes, 1 << 20, TinyBytes);
        Assert.Equal(before.MemoryBytes, after.MemoryBytes);
        Assert.Equal(["chat", "guard"], before.Roles);
        Assert.Equal(_time.GetUtcNow(), after.Statistics.LastUsed);
        Assert.Equal(1, after.Statistics.Loads);
    }

    [Fact]
    public async Task Acquire_AfterFailure_RefusesUntilRetryIsDue()
    {
        var host = Host("a");
        _loader.Failure = new EngineException(EngineError.Unavailable, "no memory");
        Assert.Contains("no memory", (await FailureAsync()).Message, StringComparison.Ordinal);
        _loader.Failure = null;

        Assert.Contains("no memory", (await FailureAsync()).Message, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromMinutes(2));

        using var lease = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);

        Task<EngineException> FailureAsync() => Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("a", CancellationToken.None));
    }

    [Fact]
    public async Task Defaults_FollowConfigurationInstallationAndLibraries()
    {
        Assert.Equal("a", await DefaultAsync(Host("b", "a")));
        Assert.Equal("b", await DefaultAsync(Host(["a", "b"], options => options.DefaultChatModel = "b")));
        _loader.Unavailable = "no libraries";
        var without = Host("a");
        Assert.Equal("fleet-extractive", await DefaultAsync(without));
        Assert.Equal("no libraries", without.List().Single(model => model.Model.Id == "a").Error);
        using var embedder = await without.AcquireAsync<ITextEmbedder>("", CancellationToken.None);
        Assert.Equal("fleet-ngram-embedding", embedder.Model.Id);

        static async Task<string> DefaultAsync(ModelHost host)
        {
            using var lease = await host.AcquireAsync<ITextGenerator>("", CancellationToken.None);
            return lease.Model.Id;
        }
    }

    [Fact]
    public async Task Dispose_WithLoadedModels_FreesThem()
    {
        var host = Host("a");
        var lease = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);
        lease.Dispose();

        await host.DisposeAsync();

        Assert.True(((FakeEngine)lease.Engine).Disposed);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts)
            await host.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private ModelHost Host(params string[] models) => Host(models, _ => { });

    private ModelHost Host(string[] models, Action<ModelsOptions> configure)
    {
        var directory = Directory.CreateDirectory(Path.Combine(_directory, Guid.NewGuid().ToString("N"))).FullName;
        foreach (var model in models)
            LlamaModel.Tiny.Save(Path.Combine(directory, $"{model}.gguf"));

        var options = new ModelsOptions { ModelsDirectory = directory };
        configure(options);
        var catalogue = new ModelCatalogue(Options.Create(options), NullLogger<ModelCatalogue>.Instance);
        var memory = new ModelMemory(new MachineMemory(() => []), Options.Create(options), Options.Create(new EngineOptions { ContextTokens = 256, MaxSequences = 1, BatchTokens = 16 }));
        var events = new ModelEvents(new NoBroker(), NullLogger<ModelEvents>.Instance);
        var host = new ModelHost(catalogue, _loader, new ModelRouting(catalogue, _loader, Options.Create(options)), memory, events, Options.Create(options), _time, NullLogger<ModelHost>.Instance);
        _hosts.Add(host);
        return host;
    }

    private static ModelState StateOf(ModelHost host, string id) => host.List().Single(model => model.Model.Id == id).State;

    private sealed class FakeLoader : IModelLoader
    {
        private TaskCompletionSource? _gate;

        public List<string> Loaded { get; } = [];

        public Exception? Failure { get; set; }

        public string? Unavailable { get; set; }

        public IDisposable Hold() => new Gate(_gate = new TaskCompletionSource());

        public IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken)
        {
            lock (Loaded)
                Loaded.Add(model.Id);
            _gate?.Task.Wait(TimeSpan.FromSeconds(30), cancellationToken);
            return Failure is null ? new FakeEngine() : throw Failure;
        }

        private sealed class Gate(TaskCompletionSource gate) : IDisposable
        {
            public void Dispose() => gate.TrySetResult();
        }
    }

    private sealed class FakeEngine : ITextGenerator
    {
        public bool Disposed { get; private set; }

        public EngineActivity Activity => EngineActivity.Idle;

        public IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public TokenList Tokenize(string text) => throw new NotSupportedException();

        public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => throw new NotSupportedException();

        public ValueTask DisposeAsync()
        {
            Disposed = true;
            return ValueTask.CompletedTask;
        }
    }

    private sealed class NoBroker : IEventPublisher
    {
        public Task PublishAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
