using Fleet.Inference.Engine.Persistence;
using Fleet.Inference.Engine.Speculation;
using Fleet.Inference.Engine.Threads;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;
using Fleet.Inference.Telemetry;

namespace Fleet.Inference.Engine;

/// <summary>
/// The thread that owns a runner. It repeats: drop what is dead, admit, plan, decode, sample, deliver. Others add requests, cancel them and
/// read figures; they never touch the runner. One long file, because all of it is that one thread's: what it may touch and in which order. A reply's failure ends that reply; a step's failure ends those that cannot be computed alone.
/// </summary>
internal sealed partial class DecodeLoop : IAsyncDisposable
{
    // Until so many steps were measured the estimate is a guess, and a guess must not cost a thread.
    private const int StepsToKnow = 8;

    // Guesses cost computing power that other replies need; with more of them than this nothing is gained.
    private const int MostGuessing = 2;

    private const int StepsBetweenSaves = 256;

    // Threads all engines of the process compute with at this moment.
    private static int _computing;

    private readonly string _model;
    private readonly IModelRunner _runner;
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly InferenceMetrics? _metrics;
    private readonly ThreadGovernor _governor;
    private readonly IDisposable? _ownReader;
    private readonly PrefixKeeper? _prefixes;
    private readonly ParkedPrefixes? _parked;
    private readonly LayoutAdvisor _layout;
    private readonly DraftLength _draftLength;
    private readonly Dictionary<int, int> _stepsKnown = [];
    private readonly RecentRate _prefillRate;
    private readonly RecentRate _decodeRate;
    private readonly AutoResetEvent _work = new(initialState: false);
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards the exchange of the scheduler against requests that arrive meanwhile.
    private readonly Lock _exchange = new();
    private readonly Dictionary<string, IReadOnlyList<AdapterChoice>> _adapters = [];
    private volatile Scheduler _scheduler;
    private SchedulerCounters _before = new();
    private volatile Reply[] _running = [];
    private volatile bool _stopping;
    private TaskCompletionSource? _forget;
    private int _stopCalls;
    private int _noRoom;

    public DecodeLoop(string model, IModelRunner runner, EngineOptions options, EngineServices services, TimeProvider time, ILogger logger)
    {
        (_model, _runner, _options, _time, _logger, _metrics) = (model, runner, options, time, logger, services.Metrics);
        _draftLength = new DraftLength(services.AlwaysGuess);
        (_prefillRate, _decodeRate) = (new RecentRate(time), new RecentRate(time));
        _scheduler = NewScheduler();
        _layout = new LayoutAdvisor(options.KvLayout, runner.CanShare);

        var reader = services.Processors;
        if (reader is null)
            _ownReader = (ProcCpuReader)(reader = new ProcCpuReader(time));
        _governor = new ThreadGovernor(reader, options.MaxDecodeThreads, time);
        _parked = runner.CanShare && options.SharePrefixes ? new ParkedPrefixes(runner, options.IdleCells, options.ParkedPrefixBytes) : null;
        _prefixes = services.Prefixes is { } store && runner is { CanShare: true, StateIdentity.Length: > 0 } ? new PrefixKeeper(store, runner, time) : null;

        _thread = new Thread(Run) { Name = $"decode {model}", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Positions one sequence can reach.</summary>
    public int MaxSequenceTokens => _scheduler.MaxSequenceTokens;

    public EngineActivity Activity
    {
        get
        {
            var scheduler = _scheduler;
            var running = _running;
            var waiting = scheduler.Queue.Snapshot();
            return new EngineActivity(running.Length, waiting.Count, [.. running.Concat(waiting.Select(sequence => (Reply)sequence.Owner!)).Select(reply => reply.Activity)])
            {
                Gauges = Gauges(scheduler),
            };
        }
    }

    public EngineGauges Gauges() => Gauges(_scheduler);

    /// <summary>Adds a request or says why not. Any thread.</summary>
    public Admission Enqueue(Reply reply)
    {
        Admission admission;
        lock (_exchange)
        {
            admission = _scheduler.Enqueue(reply.Sequence, _time.GetUtcNow());
            if (admission.Result == AdmissionResult.TooLong && _layout.Parked.Count < _options.MaxQueuedRequests && _layout.Wants(reply.Sequence.PromptTokens, _runner.ContextTokens))
            {
                // It fits once the cache is one again; until then it waits here.
                _layout.Parked.Enqueue(reply);
                admission = admission with { Result = AdmissionResult.Accepted };
            }
        }

        if (admission.Result == AdmissionResult.Accepted)
            Wake();
        return admission;
    }

    /// <summary>Forgets every prefix that is only kept. Completes when that is done, or the loop has ended.</summary>
    public Task ForgetAsync()
    {
        var forget = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref _forget, forget, null) is { } other)
            forget = other;
        Wake();
        return Task.WhenAny(forget.Task, _ended.Task);
    }

    /// <summary>Looks at cancelled replies without waiting for new ones. Any thread.</summary>
    public void Wake()
    {
        try
        {
            _work.Set();
        }
        catch (ObjectDisposedException)
        {
            // The loop ended between the caller's look and this call; so did the reply.
        }
    }

    /// <summary>Ends everything and gives the runner's memory back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Increment(ref _stopCalls) == 1)
        {
            // The runner lives as long as the loop has not been told to stop.
            _runner.Abort();
            _stopping = true;
            Wake();
        }

        await _ended.Task;
        _work.Dispose();
    }

    // Decode thread from here on down.

    private void Run()
    {
        try
        {
            Restore();
            while (!_stopping)
            {
                if (Step())
                    continue;
                _work.WaitOne(UntilNext());
                Gather();
            }
        }
        finally
        {
            End();
        }
    }

    /// <summary>
    /// Requests that were sent together arrive within a millisecond or two of each other. Their prompts computed in one step cost half of
    /// what they cost one after the other beside replies that have begun.
    /// </summary>
    private void Gather()
    {
        if (_scheduler.Running.Count > 0 || _scheduler.Queue.Count == 0)
            return;
        for (var more = 0; more < _runner.MaxRunning && _work.WaitOne(1); more++)
        {
            // Each arrival sets the event; a millisecond without one ends the wait.
        }
    }

    // Nothing could be computed. What is left over is about to be dropped or admitted; without anything, only others can bring work.
    private int UntilNext() => _layout.Change is not null ? 0 : _scheduler.Running.Count > 0 || _scheduler.Queue.Count > 0 ? 1 : Timeout.Infinite;

    /// <summary>False when there was nothing to do.</summary>
    private bool Step()
    {
        try
        {
            DropDead();
            if (Interlocked.Exchange(ref _forget, null) is { } forget)
            {
                _scheduler.Cache.Clear();
                _parked?.Clear();
                forget.SetResult();
            }

            Admit();
            var threads = _governor.Next(Volatile.Read(ref _computing));
            _runner.SetThreads(threads);
            _scheduler.Threads = threads;
            Guess();
            if (_scheduler.Plan() is not { } plan)
            {
                Idle();
                return false;
            }

            Compute(plan, threads);
            Deliver();
            _parked?.ParkOne(_scheduler.Cache);

            // A server that is never idle keeps its prefixes too.
            if (_scheduler.Counters.Steps % StepsBetweenSaves == 0)
                _prefixes?.Save(_scheduler.Cache);
        }
        catch (Exception exception)
        {
            // The step belongs to all of them: none can be trusted to be where the cache thinks it is.
            Log.StepFailed(_logger, exception, _model);
            var failed = new EngineException(EngineError.Internal, "The engine failed while generating.", exception);
            foreach (var reply in _running)
                End(reply, failed, keep: false);
        }

        return true;
    }

    private void DropDead()
    {
        var dropped = _scheduler.DropDead(_time.GetUtcNow());
        if (dropped.Count > 0)
            Publish();
        foreach (var (sequence, reason) in dropped)
        {
            var reply = (Reply)sequence.Owner!;
            switch (reason)
            {
                case DropReason.OutOfRoom:
                    reply.Finish(FinishReason.Length);
                    break;
                case DropReason.DeadlinePassed:
                    reply.Fail(new EngineException(EngineError.DeadlineExceeded, "The deadline passed before the reply was complete."));
                    break;
                default:
                    reply.Fail(new OperationCanceledException());
                    break;
            }
        }
    }

    private void Admit()
    {
        if (_layout.Change is not null)
        {
            // The cache is to be made anew: what runs ends first.
            if (_scheduler.Running.Count == 0)
                Rebuild();
            return;
        }

        Fetch();
        var before = _scheduler.Running.Count;
        var admitted = _scheduler.Admit(_time.GetUtcNow());
        foreach (var sequence in admitted)
        {
            ((Reply)sequence.Owner!).Started();
            _layout.Admitted(sequence.PromptTokens, sequence.CachedTokens, _scheduler.Running.Count);
        }

        if (admitted.Count > 0 || _scheduler.Running.Count != before || _running.Length != _scheduler.Running.Count)
            Publish();
    }

    /// <summary>What those next in turn begin with may lie outside the cache. Each is looked at once.</summary>
    private void Fetch()
    {
        if (_parked is not { Count: > 0 } || _scheduler.Queue.Count == 0)
            return;
        foreach (var sequence in _scheduler.Queue.Snapshot().Take(_runner.MaxRunning - _scheduler.Running.Count))
        {
            if (sequence is { BypassCache: false, Status: SequenceStatus.Waiting } && ((Reply)sequence.Owner!).LookFirst())
                _parked.Fetch(_scheduler.Cache, new PrefixKey(sequence.TenantId, sequence.AdapterKey), [.. sequence.Tokens]);
        }
    }

    private void Guess()
    {
        if (!_options.Speculation || !_runner.CanShare || _scheduler.Running.Count > MostGuessing || _scheduler.Queue.Count > 0)
            return;
        foreach (var sequence in _scheduler.Running)
        {
            if (sequence.Status == SequenceStatus.Decode)
                ((Reply)sequence.Owner!).Guess(_draftLength);
        }
    }

    private void Compute(BatchPlan plan, int threads)
    {
        UseAdapters(plan);
        var known = _stepsKnown.GetValueOrDefault(threads);
        var expected = known >= StepsToKnow ? _scheduler.Budget.Estimate(threads, plan.DecodeTokens, plan.PrefillTokens) : null;
        var started = _time.GetTimestamp();
        Interlocked.Add(ref _computing, threads);
        DecodeStatus status;
        try
        {
            status = _runner.Decode(plan, _runner.CanShare ? _governor.Limit(expected) : Timeout.InfiniteTimeSpan);
        }
        finally
        {
            Interlocked.Add(ref _computing, -threads);
        }

        var taken = _time.GetElapsedTime(started);
        switch (status)
        {
            case DecodeStatus.Done:
                _noRoom = 0;
                _stepsKnown[threads] = known + 1;
                _scheduler.Computed(plan, taken);
                Measure(plan, threads, taken, expected);
                foreach (var share in plan.Shares)
                {
                    if (share.OutputIndex >= 0)
                        Advance(share);
                }

                break;
            case DecodeStatus.Aborted:
                // Too slow: again with fewer threads, or not at all when the engine stops.
                _scheduler.Rollback(plan);
                _governor.Aborted();
                break;
            default:
                Log.DecodeFailed(_logger, _model, status, plan.TokenCount, plan.Shares.Count);
                _scheduler.Rollback(plan);
                Recover(plan, status);
                break;
        }
    }

    private void Measure(BatchPlan plan, int threads, TimeSpan taken, TimeSpan? expected)
    {
        _governor.Stepped(taken, expected);
        _prefillRate.Add(plan.PrefillTokens);
        _decodeRate.Add(plan.DecodeTokens - plan.DraftTokens);
        if (plan.Shares.Count == 1 && plan.PrefillTokens == 0)
            _draftLength.Measured(plan.TokenCount, taken, threads);
        _metrics?.Stepped(_model, plan.DecodeTokens, plan.PrefillTokens, _runner.BatchTokens, taken);
    }

    private void UseAdapters(BatchPlan plan)
    {
        if (!_adapters.TryGetValue(plan.AdapterKey, out var adapters))
        {
            if (_adapters.Count > 256)
                _adapters.Clear();
            _adapters[plan.AdapterKey] = adapters = ((Reply)plan.Shares[0].Sequence.Owner!).Adapters;
        }

        _runner.UseAdapters(adapters);
    }

    private void Advance(BatchShare share)
    {
        var sequence = share.Sequence;
        var reply = (Reply)sequence.Owner!;
        try
        {
            // One token per row as long as the rows' guesses hold: the row after a guess is right only if the guess was.
            var accepted = 0;
            FinishReason? reason = null;
            for (var row = 0; row < share.Outputs; row++)
            {
                var token = reply.Sample(_runner.Logits(share.OutputIndex + row));
                if (reply.Ends(token))
                {
                    reason = FinishReason.Stop;
                    break;
                }

                sequence.Append(token);
                reason = reply.Take(token);
                if (reason is not null || row == share.Drafts || sequence.Draft[row] != token)
                    break;
                accepted++;
            }

            if (share.Drafts > 0)
                reply.Judged(share.Drafts, accepted);
            if (reason is { } why)
            {
                _scheduler.Finish(sequence, keep: true);
                Publish();
                reply.Finish(why);
            }
            else if (share.Drafts > 0)
            {
                _scheduler.Accept(sequence, accepted);
            }
        }
        catch (Exception exception) when (exception is not LlamaException)
        {
            // One reply's failure ends that reply only.
            if (exception is not EngineException)
                Log.ReplyFailed(_logger, exception, _model);
            End(reply, exception as EngineException ?? new EngineException(EngineError.Internal, "The engine failed while generating.", exception), keep: true);
        }
    }

    private void Deliver()
    {
        foreach (var reply in _running)
            reply.Deliver();
    }

    /// <summary>The plan could not be computed. Nothing of it is in the cache any more.</summary>
    private void Recover(BatchPlan plan, DecodeStatus status)
    {
        if (status == DecodeStatus.NoRoom && _noRoom++ == 0)
        {
            // The cache has no cell where the count says there are: without what is only kept there are.
            _scheduler.Cache.Clear();
            return;
        }

        // One bad entry fails a batch. Alone, those that can be computed are; the others end.
        foreach (var share in plan.Shares)
        {
            if (share.Sequence.SequenceId < 0)
                continue;
            var alone = new BatchPlan(plan.AdapterKey);
            alone.Add(share.Sequence, share.Count - share.Drafts);
            var started = _time.GetTimestamp();
            if (plan.Shares.Count > 1 && _runner.Decode(alone, Timeout.InfiniteTimeSpan) == DecodeStatus.Done)
            {
                _scheduler.Computed(alone, _time.GetElapsedTime(started));
                if (alone.Shares[0].OutputIndex >= 0)
                    Advance(alone.Shares[0]);
                continue;
            }

            _scheduler.Rollback(alone);
            End((Reply)share.Sequence.Owner!, new EngineException(EngineError.Internal, "llama.cpp could not compute this step."), keep: false);
        }
    }

    private void Idle()
    {
        _prefixes?.Save(_scheduler.Cache);
        while (_parked?.ParkOne(_scheduler.Cache) == true && _scheduler.Queue.Count == 0 && !_stopping)
        {
            // One at a time: who comes meanwhile waits for one copy.
        }

        _layout.Idle(_runner.Unified, _runner.Cells, _runner.MaxRunning);
    }

    private void Restore()
    {
        try
        {
            _prefixes?.Restore(_scheduler.Cache);
        }
        catch (Exception exception)
        {
            // Without its old prefixes an engine is slower at first, no more.
            Log.RestoreFailed(_logger, exception, _model);
        }
    }

    private void Rebuild()
    {
        lock (_exchange)
        {
            var unified = _layout.Change!.Value;
            _layout.Change = null;
            if (_scheduler.Queue.Count == 0 && unified != _runner.Unified)
            {
                var counters = _scheduler.Counters;
                if (_runner.Rebuild(unified))
                {
                    _before = Sum(_before, counters);
                    _scheduler = NewScheduler();
                    _parked?.Clear();
                    Log.Rebuilt(_logger, _model, unified ? "unified" : "separate");
                }
            }

            while (_layout.Parked.TryDequeue(out var reply))
            {
                if (_scheduler.Enqueue(reply.Sequence, _time.GetUtcNow()).Result != AdmissionResult.Accepted)
                    reply.Fail(new EngineException(EngineError.Unavailable, $"{_model} is busy.") { RetryAfter = TimeSpan.FromSeconds(1) });
            }
        }

        _stepsKnown.Clear();
        Restore();
    }

    private Scheduler NewScheduler() => new(_runner, new SchedulerOptions
    {
        MaxRunning = Math.Min(_runner.MaxRunning, _runner.BatchTokens - 1),
        BatchTokens = _runner.BatchTokens,
        MaxSequenceTokens = _runner.ContextTokens,
        MaxQueued = _options.MaxQueuedRequests,
        MaxStep = _options.MaxStep,
        SharePrefixes = _runner.CanShare && _options.SharePrefixes,
    });

    private void End(Reply reply, Exception exception, bool keep)
    {
        if (reply.Sequence.Status is not (SequenceStatus.Finished or SequenceStatus.Waiting or SequenceStatus.Preempted))
            _scheduler.Finish(reply.Sequence, keep);
        Publish();
        reply.Fail(exception);
    }

    private void Publish() => _running = [.. _scheduler.Running.Select(sequence => (Reply)sequence.Owner!)];

    private void End()
    {
        var unloaded = new EngineException(EngineError.Unavailable, $"{_model} was unloaded.") { RetryAfter = TimeSpan.FromSeconds(1) };
        try
        {
            _prefixes?.Save(_scheduler.Cache, all: true);
            lock (_exchange)
            {
                foreach (var sequence in _scheduler.Close())
                    ((Reply)sequence.Owner!).Fail(unloaded);
                while (_layout.Parked.TryDequeue(out var reply))
                    reply.Fail(unloaded);
            }

            _running = [];
            _ownReader?.Dispose();
            _runner.Dispose();
        }
        catch (Exception exception)
        {
            Log.StepFailed(_logger, exception, _model);
        }
        finally
        {
            _ended.TrySetResult();
        }
    }

    private EngineGauges Gauges(Scheduler scheduler)
    {
        var counters = Sum(_before, scheduler.Counters);
        return new EngineGauges
        {
            KvCells = _runner.Cells,
            KvCellsUsed = scheduler.UsedCells,
            KvCellsShared = scheduler.Cache.SharedCells,
            KvCellsCached = scheduler.Cache.CachedCells,
            KvLayout = _runner.Unified ? "unified" : "separate",
            Sequences = _runner.MaxRunning,
            DecodeThreads = _governor.Threads,
            MaxDecodeThreads = _governor.Most,
            Preemptions = counters.Preemptions,
            Steps = counters.Steps,
            PromptTokens = counters.PromptTokens,
            CachedTokens = counters.CachedTokens,
            PrefillTokensPerSecond = _prefillRate.PerSecond,
            DecodeTokensPerSecond = _decodeRate.PerSecond,
            DraftedTokens = counters.DraftedTokens,
            AcceptedTokens = counters.AcceptedTokens,
            EstimatedWait = scheduler.Queue.EstimatedWait(),
        };
    }

    private static SchedulerCounters Sum(SchedulerCounters before, SchedulerCounters now) => new()
    {
        Steps = before.Steps + now.Steps,
        Preemptions = before.Preemptions + now.Preemptions,
        Admitted = before.Admitted + now.Admitted,
        Finished = before.Finished + now.Finished,
        Dropped = before.Dropped + now.Dropped,
        PromptTokens = before.PromptTokens + now.PromptTokens,
        CachedTokens = before.CachedTokens + now.CachedTokens,
        PrefillTokens = before.PrefillTokens + now.PrefillTokens,
        DecodeTokens = before.DecodeTokens + now.DecodeTokens,
        DraftedTokens = before.DraftedTokens + now.DraftedTokens,
        AcceptedTokens = before.AcceptedTokens + now.AcceptedTokens,
        Held = before.Held + now.Held,
        BatchOccupancy = now.BatchOccupancy,
    };

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "A step of {Model} failed")]
        public static partial void StepFailed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Error, Message = "A reply of {Model} failed")]
        public static partial void ReplyFailed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Error, Message = "{Model} could not decode: {Status} with {Tokens} tokens of {Sequences} replies")]
        public static partial void DecodeFailed(ILogger logger, string model, DecodeStatus status, int tokens, int sequences);

        [LoggerMessage(Level = LogLevel.Warning, Message = "{Model} starts without its saved prefixes")]
        public static partial void RestoreFailed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Information, Message = "{Model} has a {Layout} cache now")]
        public static partial void Rebuilt(ILogger logger, string model, string layout);
    }
}
