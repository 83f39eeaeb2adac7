namespace Fleet.Inference.Engine.Embedding;

/// <summary>
/// Runs a <see cref="ITextRunner"/> on a thread of its own and packs the texts of concurrent callers into its batches. Thread-safe.
/// Running and queued count requests: one runs from its first text's batch until its last text's.
/// </summary>
internal sealed partial class TextEngine : IAsyncDisposable
{
    /// <summary>Tokens that may wait, a single request excepted: 16 MiB of them.</summary>
    public const int MaxWaitingTokens = 4 * 1024 * 1024;

    // The latest batches count most, but one odd batch does not decide.
    private const double SpeedSmoothing = 0.2;

    private static readonly TimeSpan ShortestRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    private readonly object _lock = new();
    private readonly ITextRunner _runner;
    private readonly TextBatcher _batcher;
    private readonly HashSet<TextRequest> _requests = [];
    private readonly int _maxQueued;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopping;
    private long _batches;
    private long _tokens;
    private double _tokensPerSecond;

    /// <param name="runner">Belongs to the engine from here on.</param>
    /// <param name="maxQueued">Requests that may wait beside the one that starts at once.</param>
    public TextEngine(string name, ITextRunner runner, int maxQueued, TimeProvider time, ILogger logger)
    {
        (_runner, _maxQueued, _time, _logger) = (runner, maxQueued, time, logger);
        _batcher = new TextBatcher(runner.BatchTokens, runner.BatchTexts);
        new Thread(Work) { IsBackground = true, Name = $"texts of {name}" }.Start();
    }

    public EngineActivity Activity
    {
        get
        {
            lock (_lock)
            {
                var running = _requests.Count(request => request.Started);
                return new EngineActivity(running, _requests.Count - running, [])
                {
                    Gauges = new EngineGauges
                    {
                        Sequences = _runner.BatchTexts,
                        Steps = _batches,
                        PromptTokens = _tokens,
                        PrefillTokensPerSecond = _requests.Count > 0 ? _tokensPerSecond : 0,
                        EstimatedWait = EstimatedWait(),
                    },
                };
            }
        }
    }

    /// <summary>Computes texts; results in their order. Cancelling takes back what has not been started.</summary>
    /// <param name="texts">At least one, none empty, none longer than the runner takes.</param>
    /// <exception cref="EngineException">The queue is full, the engine is closed, or the library failed.</exception>
    public async Task<float[][]> RunAsync(IReadOnlyList<int[]> texts, Requester requester, CancellationToken cancellationToken)
    {
        // The library ends the process on a text that is too long, so this is looked at again, whoever the caller is.
        if (texts.Count == 0 || texts.Any(text => text.Length == 0 || text.Length > _runner.MaxTokens))
            throw new ArgumentOutOfRangeException(nameof(texts), $"Each text needs 1 to {_runner.MaxTokens} tokens.");

        cancellationToken.ThrowIfCancellationRequested();
        var request = new TextRequest(texts, requester);
        lock (_lock)
        {
            Admit(request);
            _requests.Add(request);
            _batcher.Add(request);
            Monitor.Pulse(_lock);
        }

        await using var registration = cancellationToken.UnsafeRegister(_ => Cancel(request, cancellationToken), null);
        return await request.Completion;
    }

    /// <summary>Ends what waits and runs as unavailable, and frees the model when the batch under way is done.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _stopping = true;
            foreach (var request in _requests.ToArray())
                End(request, Closed());
            Monitor.Pulse(_lock);
        }

        await _ended.Task;
    }

    private void Admit(TextRequest request)
    {
        if (_stopping)
            throw Closed();

        var queued = _requests.Count(other => !other.Started);
        var idle = _requests.Count == 0;
        if (idle || (queued < _maxQueued && _batcher.WaitingTokens + request.WaitingTokens <= MaxWaitingTokens))
            return;

        throw new EngineException(EngineError.QueueFull, $"Too many texts are waiting: {queued} requests with {_batcher.WaitingTokens} tokens.")
        {
            Queued = queued,
            Running = _requests.Count - queued,
            RetryAfter = EstimatedWait() is var wait && wait < ShortestRetry ? ShortestRetry : wait > LongestRetry ? LongestRetry : wait,
        };
    }

    private void Cancel(TextRequest request, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Forget(request);
            request.Cancel(cancellationToken);
        }
    }

    private void Work()
    {
        try
        {
            while (TakeBatch() is { Count: > 0 } batch)
                Compute(batch);
        }
        finally
        {
            _runner.Dispose();
            _ended.SetResult();
        }
    }

    /// <summary>Waits for work; empty when the engine closes.</summary>
    private IReadOnlyList<TextWork> TakeBatch()
    {
        lock (_lock)
        {
            while (!_stopping && _batcher.IsEmpty)
                Monitor.Wait(_lock);
            return _stopping ? [] : _batcher.Next();
        }
    }

    private void Compute(IReadOnlyList<TextWork> batch)
    {
        try
        {
            var started = _time.GetTimestamp();
            var outputs = _runner.Run([.. batch.Select(work => work.Tokens)]);
            Deliver(batch, outputs, _time.GetElapsedTime(started));
        }
        catch (Exception exception) when (batch.Count > 1)
        {
            // One text must not fail its neighbours.
            Log.BatchFailed(_logger, exception, batch.Count);
            foreach (var work in batch.Where(work => !work.Request.Completion.IsCompleted))
                Compute([work]);
        }
        catch (Exception exception)
        {
            Log.TextFailed(_logger, exception, batch[0].Tokens.Length);
            lock (_lock)
                End(batch[0].Request, exception as EngineException ?? new EngineException(EngineError.Internal, "The model could not compute the text.", exception));
        }
    }

    private void Deliver(IReadOnlyList<TextWork> batch, float[][] outputs, TimeSpan elapsed)
    {
        lock (_lock)
        {
            var tokens = batch.Sum(work => work.Tokens.Length);
            var speed = tokens / Math.Max(elapsed.TotalSeconds, 1e-6);
            _tokensPerSecond = _batches == 0 ? speed : _tokensPerSecond + SpeedSmoothing * (speed - _tokensPerSecond);
            _tokens += tokens;
            _batches++;

            for (var i = 0; i < batch.Count; i++)
            {
                // Of a request that was cancelled or failed meanwhile nobody wants the rest.
                if (_requests.Contains(batch[i].Request) && batch[i].Request.Complete(batch[i].Index, outputs[i]))
                    _requests.Remove(batch[i].Request);
            }
        }
    }

    // The lock is held from here on down.

    private void End(TextRequest request, Exception exception)
    {
        Forget(request);
        request.Fail(exception);
    }

    private void Forget(TextRequest request)
    {
        if (_requests.Remove(request))
            _batcher.Remove(request);
    }

    private TimeSpan EstimatedWait() => _requests.Count == 0
        ? TimeSpan.Zero
        : _tokensPerSecond > 0 ? TimeSpan.FromSeconds(Math.Min(_batcher.WaitingTokens / _tokensPerSecond, LongestRetry.TotalSeconds)) : TimeSpan.FromSeconds(1);

    private static EngineException Closed() => new(EngineError.Unavailable, "The model is being unloaded.") { RetryAfter = TimeSpan.FromSeconds(1) };

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "A batch of {Texts} texts failed; they are computed one by one")]
        public static partial void BatchFailed(ILogger logger, Exception exception, int texts);

        [LoggerMessage(Level = LogLevel.Error, Message = "A text of {Tokens} tokens could not be computed")]
        public static partial void TextFailed(ILogger logger, Exception exception, int tokens);
    }
}
