using Fleet.Contracts.Events;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Models;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models;

public sealed class ModelHostTests : IAsyncDisposable
{
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
        var host = Host(["a", "b", "c"], options => options.MemoryBudgetBytes = 2 * 700_000);
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
        var host = Host(["a", "b"], options => options.MemoryBudgetBytes = 700_000);
        using var busy = await host.AcquireAsync<ITextGenerator>("a", CancellationToken.None);

        var exception = await Assert.ThrowsAsync<EngineException>(() => host.AcquireAsync<ITextGenerator>("b", CancellationToken.None));

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains("MiB", exception.Message, StringComparison.Ordinal);
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
        var events = new ModelEvents(new NoBroker(), NullLogger<ModelEvents>.Instance);
        var host = new ModelHost(catalogue, _loader, new ModelRouting(catalogue, _loader, Options.Create(options)), events, Options.Create(options), _time, NullLogger<ModelHost>.Instance);
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

        public IModelEngine Load(ModelDescription model, IProgress<float> progress, CancellationToken cancellationToken)
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
