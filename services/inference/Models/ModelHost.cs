using System.Runtime.CompilerServices;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Extractive;
using Fleet.Inference.Engine.NGram;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>
/// Which models are in memory. A request leases a model: it is loaded on first use (others wait for the same load), kept while leased,
/// and evicted least recently used when another needs the memory. Thread-safe; one lock, never held across a load.
/// </summary>
internal sealed partial class ModelHost : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan BusyRetry = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, HostedModel> _models = new(StringComparer.Ordinal);
    private readonly ModelCatalogue _catalogue;
    private readonly IModelLoader _loader;
    private readonly IRemoteModels? _remote;
    private readonly ModelRouting _routing;
    private readonly ModelMemory _memory;
    private readonly ModelEvents _events;
    private readonly ModelsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ModelHost> _logger;
    private readonly CancellationTokenSource _stopping = new();
    private bool _disposed;

    public ModelHost(
        ModelCatalogue catalogue, IModelLoader loader, ModelRouting routing, ModelMemory memory, ModelEvents events,
        IOptions<ModelsOptions> options, TimeProvider time, ILogger<ModelHost> logger, IRemoteModels? remote = null)
    {
        (_catalogue, _loader, _routing, _memory, _events, _remote) = (catalogue, loader, routing, memory, events, remote);
        (_options, _time, _logger) = (options.Value, time, logger);
        _catalogue.Changed += FollowCatalogue;
        FollowCatalogue();
    }

    public IReadOnlyList<ModelSnapshot> List()
    {
        lock (_lock)
        {
            var chat = _routing.Default(ModelKind.Chat);
            var embedding = _routing.Default(ModelKind.Embedding);
            var reranker = _routing.Default(ModelKind.Reranker);
            return [.. _models.Values
                .OrderBy(model => model.Description.BuiltIn).ThenBy(model => model.Description.Id, StringComparer.Ordinal)
                .Select(model => Snapshot(model, model.Description.Id == chat || model.Description.Id == embedding || model.Description.Id == reranker))];
        }
    }

    /// <summary>Leases a model for one request, loading it first if need be. A role or an empty id stands for the first model of its chain (<see cref="ModelRouting"/>); nothing is fallen back to here.</summary>
    public async Task<ModelLease<TEngine>> AcquireAsync<TEngine>(string id, CancellationToken cancellationToken)
        where TEngine : class, IModelEngine
    {
        while (true)
        {
            Task loading;
            lock (_lock)
            {
                var model = Require<TEngine>(id);
                if (model.Draining is not null)
                    throw new EngineException(EngineError.Unavailable, $"The model {model.Description.Id} is being unloaded.") { RetryAfter = BusyRetry };
                if (model.State == ModelState.Ready)
                    return Lease<TEngine>(model);
                if (model.State == ModelState.Failed && _time.GetElapsedTime(model.FailedAt) < (model.RetryAfter ?? _options.RetryFailedAfter))
                    throw Failed(model);

                loading = StartLoading(model);
            }

            await loading.WaitAsync(cancellationToken);
            lock (_lock)
            {
                var model = Require<TEngine>(id);
                if (model.State == ModelState.Failed)
                    throw Failed(model);
            }
        }
    }

    /// <summary>Loads a model (again, if it had failed) and reports until it is ready or has failed.</summary>
    public async IAsyncEnumerable<ModelSnapshot> LoadAsync(string id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Task loading;
        lock (_lock)
        {
            var model = Require(id);
            loading = model.State == ModelState.Ready ? Task.CompletedTask : StartLoading(model);
        }

        while (true)
        {
            ModelSnapshot snapshot;
            lock (_lock)
                snapshot = Snapshot(Require(id), isDefault: false);
            yield return snapshot;
            if (loading.IsCompleted && snapshot.State != ModelState.Loading)
                yield break;

            await Task.WhenAny(loading, Task.Delay(TimeSpan.FromMilliseconds(200), _time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Frees a model's memory once the requests that use it have ended. Nothing happens when it is not in memory.</summary>
    public async Task UnloadAsync(string id, CancellationToken cancellationToken)
    {
        Task drained;
        lock (_lock)
        {
            var model = Require(id);
            if (model.Description.BuiltIn)
                throw new EngineException(EngineError.NotSupported, $"{id} is built in and cannot be unloaded.");
            if (model.Description.IsRemote)
                throw new EngineException(EngineError.NotSupported, $"{id} does not run here and cannot be unloaded.");
            if (model.State == ModelState.Loading)
                throw new EngineException(EngineError.Unavailable, $"{id} is loading.") { RetryAfter = BusyRetry };
            if (model.State != ModelState.Ready)
                return;

            model.Draining ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            drained = model.Draining.Task;
            if (model.Leases == 0)
                model.Draining.TrySetResult();
        }

        await drained.WaitAsync(cancellationToken);
        await FreeAsync(id);
    }

    /// <summary>Unloads a model and deletes its files. False when there is no such file.</summary>
    public async Task<bool> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        if (_catalogue.Find(id) is not { Path: not null })
            return false;

        await UnloadAsync(id, cancellationToken);
        return _catalogue.Delete(id);
    }

    /// <summary>Being created at start finds the models and says what is missing; <see cref="ModelPreloader"/> loads those that must be there.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>After the server has stopped taking calls.</summary>
    public async Task StopAsync(CancellationToken cancellationToken) => await DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;

        _catalogue.Changed -= FollowCatalogue;
        await _stopping.CancelAsync();
        Task[] busy;
        lock (_lock)
        {
            foreach (var model in _models.Values)
                model.IdleTimer?.Dispose();
            busy = [.. _models.Values.SelectMany(model => (Task[])[model.Loading, model.Unloading])];
        }

        await Task.WhenAll(busy);

        IModelEngine[] engines;
        lock (_lock)
        {
            engines = [.. _models.Values.Select(model => model.Engine).OfType<IModelEngine>()];
            _models.Clear();
        }

        foreach (var engine in engines)
            await engine.DisposeAsync();
        _stopping.Dispose();
    }

    // The caller holds the lock from here on down, unless a name ends in Async.

    private ModelLease<TEngine> Lease<TEngine>(HostedModel model)
        where TEngine : class, IModelEngine
    {
        model.Leases++;
        model.LastUsed = _time.GetTimestamp();
        model.Statistics.Used(_time.GetUtcNow());
        model.IdleTimer?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return new ModelLease<TEngine>(model.Description, (TEngine)model.Engine!, model.Statistics, () => Release(model));
    }

    private void Release(HostedModel model)
    {
        lock (_lock)
        {
            model.Leases--;
            model.LastUsed = _time.GetTimestamp();
            if (model.Leases > 0)
                return;

            model.Draining?.TrySetResult();
            WaitForIdleness(model);
        }
    }

    private HostedModel Require<TEngine>(string id)
        where TEngine : class, IModelEngine
    {
        var kind = typeof(TEngine) == typeof(ITextEmbedder) ? ModelKind.Embedding : typeof(TEngine) == typeof(ITextReranker) ? ModelKind.Reranker : ModelKind.Chat;
        var model = Require(_routing.Resolve(id, kind)[0]);

        // Token counts are every model's business; the rest is not.
        if (typeof(TEngine) != typeof(IModelEngine) && model.Description.Kind != kind)
        {
            throw new EngineException(EngineError.NotSupported, kind switch
            {
                ModelKind.Embedding => $"{model.Description.Id} is not an embedding model.",
                ModelKind.Reranker => $"{model.Description.Id} is not a reranking model.",
                _ => $"{model.Description.Id} does not generate text.",
            });
        }

        return model;
    }

    /// <summary>The id as the file has it, for one that configuration wrote in other letters.</summary>
    public string IdOf(string id)
    {
        lock (_lock)
            return _models.Keys.FirstOrDefault(known => known == id) ?? _models.Keys.FirstOrDefault(known => known.Equals(id, StringComparison.OrdinalIgnoreCase)) ?? id;
    }

    private HostedModel Require(string id) =>
        _models.GetValueOrDefault(id) ?? throw new EngineException(EngineError.ModelNotFound, $"There is no model {id}.");

    private void FollowCatalogue()
    {
        lock (_lock)
        {
            foreach (var description in _catalogue.Models)
            {
                if (!_models.TryGetValue(description.Id, out var model))
                {
                    _models.Add(description.Id, model = new HostedModel(description));
                    UseWithoutLoading(model);
                }
                else if (model.Description != description && model.State is ModelState.Installed or ModelState.Failed)
                {
                    // The file was replaced: an earlier failure says nothing about it.
                    model.Description = description;
                    model.State = ModelState.Installed;
                    model.Error = "";
                }

                if (description.Problem is { } problem && model.State == ModelState.Installed)
                {
                    model.State = ModelState.Failed;
                    model.Error = problem;
                    model.FailedAt = _time.GetTimestamp();
                }
            }

            // A model whose file is gone stays as long as it is in memory.
            foreach (var (id, _) in _models.Where(entry => _catalogue.Find(entry.Key) is null && entry.Value is { Engine: null, State: not ModelState.Loading }).ToList())
                _models.Remove(id);
        }
    }

    private void UseWithoutLoading(HostedModel model)
    {
        if (model.Description.Path is not null)
            return;

        model.Engine = model.Description switch
        {
            { IsRemote: true } => _remote!.Create(model.Description),
            { Kind: ModelKind.Chat } => new ExtractiveEngine(_time),
            _ => new NGramEmbedder(),
        };
        model.State = ModelState.Ready;
    }

    private ModelSnapshot Snapshot(HostedModel model, bool isDefault) =>
        new(model.Description, model.State, ErrorOf(model), model.State == ModelState.Ready ? 1 : model.Progress, isDefault, model.Statistics, model.Engine?.Activity ?? EngineActivity.Idle)
        {
            MemoryBytes = model.Description.Path is null ? 0 : (model.Plan ?? _memory.Plan(model.Description, Uses())).Memory.Total,
            Roles = _routing.RolesOf(model.Description.Id, model.Description.Kind),
        };

    // An installed model that nothing can load looks fine and is not: say so where people look.
    private string ErrorOf(HostedModel model) =>
        model is { State: ModelState.Installed, Description.Path: not null } ? _loader.Unavailable ?? "" : model.Error;

    private EngineException Failed(HostedModel model) =>
        new(EngineError.Unavailable, $"The model {model.Description.Id} could not be loaded: {model.Error}") { RetryAfter = model.RetryAfter ?? _options.RetryFailedAfter };

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} loaded in {Seconds:F1} s: about {MemoryMiB} MiB, {GpuLayers} layers on a GPU")]
        public static partial void Loaded(ILogger logger, string model, double seconds, long memoryMiB, int gpuLayers);

        [LoggerMessage(Level = LogLevel.Error, Message = "Model {Model} could not be loaded")]
        public static partial void Failed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} unloaded")]
        public static partial void Unloaded(ILogger logger, string model);
    }
}
