using Fleet.Inference.Engine;

namespace Fleet.Inference.Models;

internal enum ModelState
{
    /// <summary>On disk, not in memory.</summary>
    Installed,
    Loading,
    Ready,
    Failed,
}

/// <summary>A model's life in this process. Guarded by the <see cref="ModelHost"/>'s lock, statistics excepted.</summary>
internal sealed class HostedModel(ModelDescription description)
{
    public ModelDescription Description { get; set; } = description;

    public ModelState State { get; set; } = ModelState.Installed;

    public string Error { get; set; } = "";

    public float Progress { get; set; }

    public IModelEngine? Engine { get; set; }

    /// <summary>Ends when the current load has succeeded or failed; never faults.</summary>
    public Task Loading { get; set; } = Task.CompletedTask;

    /// <summary>Requests that use the engine now; it is not disposed before they end.</summary>
    public int Leases { get; set; }

    /// <summary>No new requests: completes when the last lease is given back.</summary>
    public TaskCompletionSource? Draining { get; set; }

    public long LastUsed { get; set; }

    public long FailedAt { get; set; }

    public ModelStatistics Statistics { get; } = new();

    /// <summary>Set while the model is in memory or being loaded: what it takes.</summary>
    public ModelPlan? Plan { get; set; }

    /// <summary>Of a failure that may pass sooner than others; null = as configured.</summary>
    public TimeSpan? RetryAfter { get; set; }

    /// <summary>Runs while nobody uses the model, if it may not stay for ever.</summary>
    public ITimer? IdleTimer { get; set; }

    /// <summary>Ends when the last unloading by the timer has.</summary>
    public Task Unloading { get; set; } = Task.CompletedTask;
}

/// <summary>Counters of one model since the process started. Thread-safe.</summary>
internal sealed class ModelStatistics
{
    private long _requests;
    private long _promptTokens;
    private long _completionTokens;
    private long _failures;
    private long _loads;
    private long _lastUsed;

    public long Requests => Interlocked.Read(ref _requests);

    public long PromptTokens => Interlocked.Read(ref _promptTokens);

    public long CompletionTokens => Interlocked.Read(ref _completionTokens);

    public long Failures => Interlocked.Read(ref _failures);

    public long Loads => Interlocked.Read(ref _loads);

    /// <summary>When a request last asked for the model; null before the first.</summary>
    public DateTimeOffset? LastUsed => Interlocked.Read(ref _lastUsed) is > 0 and var ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    public void Loaded() => Interlocked.Increment(ref _loads);

    public void Used(DateTimeOffset at) => Interlocked.Exchange(ref _lastUsed, at.UtcTicks);

    public void Completed(int promptTokens, int completionTokens)
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Add(ref _promptTokens, promptTokens);
        Interlocked.Add(ref _completionTokens, completionTokens);
    }

    public void Failed()
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Increment(ref _failures);
    }
}

/// <summary>A model in use: keeps its engine in memory until disposed.</summary>
internal sealed class ModelLease<TEngine>(ModelDescription model, TEngine engine, ModelStatistics statistics, Action release) : IDisposable
    where TEngine : class, IModelEngine
{
    private Action? _release = release;

    public ModelDescription Model => model;

    public TEngine Engine => engine;

    public ModelStatistics Statistics => statistics;

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
}

/// <summary>A model as others see it at one moment.</summary>
internal sealed record ModelSnapshot(
    ModelDescription Model, ModelState State, string Error, float Progress, bool IsDefault, ModelStatistics Statistics, EngineActivity Activity)
{
    /// <summary>What it takes or would take now: weights, cache and buffers.</summary>
    public long MemoryBytes { get; init; }

    public IReadOnlyList<string> Roles { get; init; } = [];
}
