using System.Runtime.CompilerServices;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine;

/// <summary>
/// A loaded generator at work. One thread owns the runner and repeats: admit, plan, decode, sample, deliver. Callers add requests to a
/// bounded queue and read each reply from its own channel; they never touch the runner.
/// </summary>
internal sealed partial class InferenceEngine : ITextGenerator
{
    private readonly string _model;
    private readonly IModelRunner _runner;
    private readonly TimeProvider _time;
    private readonly ILogger<InferenceEngine> _logger;
    private readonly int _contextTokens;
    private readonly IVocabulary _vocabulary;

    private readonly AutoResetEvent _work = new(initialState: false);
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _stopping;

    // Decode thread only; the array is replaced as a whole for readers.
    private readonly Scheduler _scheduler;
    private readonly Dictionary<Sequence, Reply> _replies = [];
    private volatile Reply[] _running = [];

    public InferenceEngine(string model, IModelRunner runner, EngineOptions options, TimeProvider time, ILogger<InferenceEngine> logger)
    {
        (_model, _runner, _time, _logger) = (model, runner, time, logger);
        _contextTokens = runner.ContextTokens;
        _vocabulary = runner.Vocabulary;
        _scheduler = new Scheduler(new SeparateCache(runner), new SchedulerOptions
        {
            MaxRunning = runner.Slots,
            BatchTokens = runner.BatchTokens,
            MaxQueued = options.MaxQueuedRequests,
            SharePrefixes = false,
        });
        _thread = new Thread(Run) { Name = $"decode {model}", IsBackground = true };
        _thread.Start();
    }

    public EngineActivity Activity
    {
        get
        {
            var running = _running;
            var waiting = _scheduler.Queue.Snapshot().Select(sequence => (Reply)sequence.Owner!).ToList();
            return new EngineActivity(running.Length, waiting.Count, [.. running.Concat(waiting).Select(reply => reply.Activity)]);
        }
    }

    public TokenList Tokenize(string text)
    {
        var tokens = _vocabulary.TokenizePrompt(text, continueFrom: "");
        return new TokenList(tokens, tokens.Count);
    }

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools)
    {
        var tokens = _vocabulary.TokenizeChat(messages, continueFrom: "");
        return new TokenList(tokens, tokens.Count);
    }

    public async IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var reply = Enqueue(request);
        await using var registration = cancellationToken.UnsafeRegister(static state => ((Action)state!)(), (Action)(() => Cancel(reply)));
        try
        {
            // Not cancelled by the token: the decode thread completes the channel once the slot is free.
            await foreach (var generationEvent in reply.Events.ReadAllAsync(CancellationToken.None))
                yield return generationEvent;
        }
        finally
        {
            // The caller stopped reading, or the reply ended and this does nothing.
            Cancel(reply);
            await reply.Ended;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        _work.Set();
        await _ended.Task;
        _work.Dispose();
    }

    private Reply Enqueue(GenerationRequest request)
    {
        var prompt = request.Prompt.Length > 0
            ? _vocabulary.TokenizePrompt(request.Prompt, request.ContinueFrom)
            : _vocabulary.TokenizeChat(request.Messages, request.ContinueFrom);
        if (prompt.Count == 0)
            throw new EngineException(EngineError.InvalidRequest, "The prompt has no tokens.");
        if (prompt.Count >= _contextTokens)
            throw new EngineException(EngineError.NotSupported, $"The prompt has {prompt.Count} tokens; the context of {_model} holds {_contextTokens}.");

        var reply = new Reply(request, prompt, _contextTokens, _vocabulary, _time);
        var admission = _scheduler.Enqueue(reply.Sequence, _time.GetUtcNow());
        switch (admission.Result)
        {
            case AdmissionResult.Accepted:
                break;
            case AdmissionResult.Closed:
                throw new EngineException(EngineError.Unavailable, $"{_model} is being unloaded.") { RetryAfter = TimeSpan.FromSeconds(1) };
            default:
                throw QueueFull(admission);
        }

        Wake();
        return reply;
    }

    private EngineException QueueFull(Admission admission) => new(EngineError.QueueFull, $"{admission.Queued} requests are already waiting for {_model}.")
    {
        Queued = admission.Queued,
        Running = admission.Running,
        RetryAfter = admission.EstimatedWait > TimeSpan.FromSeconds(1) ? admission.EstimatedWait : TimeSpan.FromSeconds(1),
    };

    private void Cancel(Reply reply)
    {
        reply.Cancel();
        Wake();
    }

    private void Wake()
    {
        try
        {
            _work.Set();
        }
        catch (ObjectDisposedException)
        {
            // The engine ended between the caller's look and this call; so did the reply.
        }
    }

    // Decode thread from here on down.

    private void Run()
    {
        try
        {
            while (!_stopping)
            {
                if (!Step())
                    _work.WaitOne();
            }
        }
        finally
        {
            End();
        }
    }

    /// <summary>False when there was nothing to do.</summary>
    private bool Step()
    {
        try
        {
            DropDead();
            Admit();
            if (_scheduler.Plan() is not { } plan)
                return false;

            var started = _time.GetTimestamp();
            if (_runner.Decode(plan) is not DecodeStatus.Done and var status)
            {
                FailAll(plan, status);
                return true;
            }

            _scheduler.Computed(plan, _time.GetElapsedTime(started));
            foreach (var share in plan.Shares)
            {
                if (share.OutputIndex >= 0)
                    Advance(share);
            }
        }
        catch (Exception exception)
        {
            // The step belongs to all of them: none can be trusted to be where the cache thinks it is.
            Log.StepFailed(_logger, exception, _model);
            foreach (var reply in _replies.Values.ToList())
                End(reply, new EngineException(EngineError.Internal, "The engine failed while generating.", exception));
        }

        return true;
    }

    private void DropDead()
    {
        foreach (var (sequence, _) in _scheduler.DropDead(_time.GetUtcNow()))
        {
            var reply = (Reply)sequence.Owner!;
            _replies.Remove(sequence);
            Publish();
            reply.Fail(new OperationCanceledException());
        }
    }

    private void Admit()
    {
        foreach (var sequence in _scheduler.Admit(_time.GetUtcNow()))
        {
            var reply = (Reply)sequence.Owner!;
            if (!_replies.TryAdd(sequence, reply))
                continue;
            reply.Started();
            Publish();
        }
    }

    private void Advance(BatchShare share)
    {
        var reply = _replies[share.Sequence];
        try
        {
            if (reply.Next(_runner.Logits(share.OutputIndex)) is { } reason)
            {
                Free(reply, keep: true);
                reply.Finish(reason);
            }
        }
        catch (Exception exception) when (exception is not LlamaException)
        {
            // One reply's failure ends that reply only.
            Log.ReplyFailed(_logger, exception, _model);
            End(reply, new EngineException(EngineError.Internal, "The engine failed while generating.", exception));
        }
    }

    private void FailAll(BatchPlan plan, DecodeStatus status)
    {
        Log.DecodeFailed(_logger, _model, status, plan.TokenCount, _scheduler.Running.Count);
        foreach (var share in plan.Shares)
            End(_replies[share.Sequence], new EngineException(EngineError.Internal, "llama.cpp could not compute this step."));
    }

    private void End(Reply reply, Exception exception)
    {
        Free(reply, keep: false);
        reply.Fail(exception);
    }

    private void Free(Reply reply, bool keep)
    {
        if (!_replies.Remove(reply.Sequence))
            return;

        _scheduler.Finish(reply.Sequence, keep);
        Publish();
    }

    private void Publish() => _running = [.. _replies.Values];

    private void End()
    {
        var unloaded = new EngineException(EngineError.Unavailable, $"{_model} was unloaded.") { RetryAfter = TimeSpan.FromSeconds(1) };
        foreach (var sequence in _scheduler.Close())
            ((Reply)sequence.Owner!).Fail(unloaded);
        _replies.Clear();
        Publish();
        _runner.Dispose();
        _ended.SetResult();
    }

    /// <summary>A runner with a cache of its own for every slot, of which only the whole is ever forgotten.</summary>
    private sealed class SeparateCache(IModelRunner runner) : IKvCache
    {
        public int Cells => runner.Slots * runner.ContextTokens;

        public int Sequences => runner.Slots;

        public bool Unified => false;

        public void Share(int source, int target, int count) => throw new NotSupportedException();

        public void Truncate(int sequence, int count)
        {
            if (count == 0)
                runner.Clear(sequence);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "A step of {Model} failed")]
        public static partial void StepFailed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Error, Message = "A reply of {Model} failed")]
        public static partial void ReplyFailed(ILogger logger, Exception exception, string model);

        [LoggerMessage(Level = LogLevel.Error, Message = "{Model} could not decode: {Status} with {Tokens} tokens of {Sequences} replies")]
        public static partial void DecodeFailed(ILogger logger, string model, DecodeStatus status, int tokens, int sequences);
    }
}
