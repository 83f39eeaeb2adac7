using System.Threading.Channels;
using Fleet.Inference.Engine.Sampling;
using Fleet.Inference.Models;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine;

/// <summary>
/// One request on its way through the engine: its sequence, its sampler, the text so far and the channel its caller reads. The caller
/// touches only <see cref="Events"/>, <see cref="Cancel"/> and the counts; everything else is for the decode thread.
/// </summary>
internal sealed class Reply
{
    private readonly GenerationRequest _request;
    private readonly IVocabulary _vocabulary;
    private readonly TimeProvider _time;
    private readonly TokenSampler _sampler;
    private readonly IncrementalDetokenizer _detokenizer = new();
    private readonly StopSequenceMatcher _stop;
    private readonly int _limit;
    private readonly long _arrived;

    // Unbounded, but never more than the token limit: the decode thread must not wait for a slow reader.
    private readonly Channel<GenerationEvent> _events = Channel.CreateUnbounded<GenerationEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan _queued;
    private TimeSpan _firstToken;

    public Reply(GenerationRequest request, IReadOnlyList<int> prompt, int contextTokens, IVocabulary vocabulary, TimeProvider time)
    {
        _request = request;
        _vocabulary = vocabulary;
        _time = time;
        _arrived = time.GetTimestamp();
        _sampler = new TokenSampler(request.Sampling, vocabulary, [.. prompt], constraint: null, (ulong)Random.Shared.NextInt64());
        _stop = new StopSequenceMatcher(request.Stop);
        Sequence = new Sequence(prompt)
        {
            TenantId = request.Requester.TenantId,
            UserId = request.Requester.UserId,
            Lane = request.Requester.Lane,
            MaxTokens = request.MaxTokens,
            BypassCache = request.BypassPrefixCache,
            Arrived = time.GetUtcNow(),
            Deadline = request.Deadline,
            Owner = this,
        };

        var room = contextTokens - prompt.Count;
        _limit = request.MaxTokens > 0 ? Math.Min(request.MaxTokens, room) : room;
    }

    public ChannelReader<GenerationEvent> Events => _events.Reader;

    /// <summary>Completes when the slot is free, read to the end or not; never faults.</summary>
    public Task Ended => _ended.Task;

    public Sequence Sequence { get; }

    public SequenceActivity Activity => new(_request.RequestId, Sequence.Status switch
    {
        SequenceStatus.Waiting => "waiting",
        SequenceStatus.Held => "held",
        SequenceStatus.Prefill => "prefill",
        SequenceStatus.Preempted => "preempted",
        _ => "decode",
    }, Sequence.PromptTokens, Sequence.GeneratedTokens);

    public void Cancel() => Sequence.Cancel();

    /// <summary>The reply has its slot.</summary>
    public void Started()
    {
        _queued = _time.GetElapsedTime(_arrived);
        _events.Writer.TryWrite(new GenerationStarted(Sequence.PromptTokens, Sequence.CachedTokens, _queued));
    }

    /// <summary>Draws the next token and delivers what it adds. Returns why the reply is over, or null.</summary>
    public FinishReason? Next(ReadOnlySpan<float> logits)
    {
        var token = _sampler.Sample(logits);
        if (Sequence.GeneratedTokens == 0)
            _firstToken = _time.GetElapsedTime(_arrived);
        if (_vocabulary.IsEndOfGeneration(token))
            return FinishReason.Stop;

        _sampler.Accept(token);
        Sequence.Append(token);
        var text = _stop.Append(_detokenizer.Append(_vocabulary.Bytes(token).Span));
        IReadOnlyList<TokenLogprob> logprobs = _request.Logprobs ? [LogProbabilities.Of(logits, token, _request.TopLogprobs, _vocabulary)] : [];
        _events.Writer.TryWrite(new GenerationDelta(text, [token], logprobs));

        if (_stop.Matched)
            return FinishReason.Stop;
        return Sequence.GeneratedTokens >= _limit ? FinishReason.Length : null;
    }

    /// <summary>The slot is free again; the caller may know.</summary>
    public void Finish(FinishReason reason)
    {
        if (_stop.Flush() is { Length: > 0 } held)
            _events.Writer.TryWrite(GenerationDelta.OfText(held));

        var total = _time.GetElapsedTime(_arrived);
        var timings = new GenerationTimings(_queued, _firstToken - _queued, total - _firstToken, _firstToken);
        _events.Writer.TryWrite(new GenerationFinished(reason, Sequence.PromptTokens, Sequence.GeneratedTokens, timings));
        End(null);
    }

    public void Fail(Exception exception) => End(exception);

    private void End(Exception? exception)
    {
        _events.Writer.TryComplete(exception);
        _ended.TrySetResult();
    }
}
