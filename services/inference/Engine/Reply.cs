using System.Threading.Channels;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Sampling;
using Fleet.Inference.Engine.Speculation;
using Fleet.Inference.Models;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine;

/// <summary>
/// One request on its way through the engine: its sequence, its sampler, the text so far and the channel its caller reads. The caller
/// touches only <see cref="Events"/>, <see cref="Cancel"/>, <see cref="Activity"/> and what was set at construction; the rest is for the
/// decode thread.
/// </summary>
internal sealed class Reply
{
    private readonly GenerationRequest _request;
    private readonly PreparedPrompt _prompt;
    private readonly IVocabulary _vocabulary;
    private readonly TimeProvider _time;
    private readonly ITokenConstraint? _constraint;
    private readonly TokenSampler _sampler;
    private readonly IncrementalDetokenizer _detokenizer = new();
    private readonly StopSequenceMatcher _stop;
    private readonly int _limit;
    private readonly long _arrived;

    // Unbounded, but never more than the token limit: the decode thread must not wait for a slow reader.
    private readonly Channel<GenerationEvent> _events = Channel.CreateUnbounded<GenerationEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // What the current step has added; delivered as one event.
    private readonly List<int> _stepTokens = [];
    private readonly List<TokenLogprob> _stepLogprobs = [];
    private string _stepText = "";
    private int _delivered;
    private bool _looked;

    private Speculation.Speculation? _speculation;
    private TimeSpan _queued;
    private TimeSpan _firstToken;

    /// <param name="contextTokens">Tokens the sequence may reach, prompt included.</param>
    /// <param name="constraint">What may be said; owned by the reply from here on.</param>
    public Reply(GenerationRequest request, PreparedPrompt prompt, ITokenConstraint? constraint, int contextTokens, IVocabulary vocabulary, TimeProvider time)
    {
        (_request, _prompt, _constraint, _vocabulary, _time) = (request, prompt, constraint, vocabulary, time);
        _arrived = time.GetTimestamp();
        _sampler = new TokenSampler(request.Sampling, vocabulary, [.. prompt.Tokens], constraint, (ulong)Random.Shared.NextInt64());
        _stop = new StopSequenceMatcher([.. request.Stop, .. prompt.Stops]);

        FormatCheck = request.ResponseFormat.Kind is ResponseFormatKind.JsonObject or ResponseFormatKind.JsonSchema ? new ReplyFormatCheck(request.ResponseFormat) : null;

        Prime(request.ContinueFrom);

        var room = contextTokens - prompt.Tokens.Count;
        _limit = request.MaxTokens > 0 ? Math.Min(request.MaxTokens, room) : room;
        Sequence = new Sequence(prompt.Tokens)
        {
            TenantId = request.Requester.TenantId,
            UserId = request.Requester.UserId,
            Lane = request.Requester.Lane,
            AdapterKey = KeyOf(request.Adapters),
            MaxTokens = _limit,
            BypassCache = request.BypassPrefixCache,
            Arrived = time.GetUtcNow(),
            Deadline = request.Deadline,
            Owner = this,
        };
    }

    public ChannelReader<GenerationEvent> Events => _events.Reader;

    /// <summary>Completes when the slot is free, read to the end or not; never faults.</summary>
    public Task Ended => _ended.Task;

    public Sequence Sequence { get; }

    public GenerationRequest Request => _request;

    public IReplyParser Parser => _prompt.Parser;

    /// <summary>Asked when the reply is whole; null when it may be anything.</summary>
    public ReplyFormatCheck? FormatCheck { get; }

    public IReadOnlyList<AdapterChoice> Adapters => _request.Adapters;

    public SequenceActivity Activity => new(_request.RequestId, Sequence.Status switch
    {
        SequenceStatus.Waiting => "waiting",
        SequenceStatus.Held => "held",
        SequenceStatus.Prefill => "prefill",
        SequenceStatus.Preempted => "preempted",
        _ => "decode",
    }, Sequence.PromptTokens, Sequence.GeneratedTokens)
    {
        CachedTokens = Sequence.CachedTokens,
        Lane = Sequence.Lane,
        Age = _time.GetElapsedTime(_arrived),
        SequenceId = Sequence.SequenceId,
    };

    /// <summary>True the first time it is asked. Decode thread.</summary>
    public bool LookFirst() => !_looked && (_looked = true);

    /// <summary>The sequence's next step ends it.</summary>
    public void Cancel() => Sequence.Cancel();

    /// <summary>It has its place; the first time its caller learns so.</summary>
    public void Started()
    {
        if (Sequence.Preemptions > 0)
            return;
        _queued = _time.GetElapsedTime(_arrived);
        _events.Writer.TryWrite(new GenerationStarted(Sequence.PromptTokens, Sequence.CachedTokens, _queued));
    }

    /// <summary>Guesses for the next step; empty most of the time.</summary>
    public void Guess(DraftLength length)
    {
        _speculation ??= new Speculation.Speculation(Sequence.Tokens, length);
        var guesses = _speculation.Next(room: _limit - Sequence.GeneratedTokens - 1);
        if (!guesses.IsEmpty)
            Sequence.Draft = guesses.ToArray();
    }

    /// <summary>How the guesses of the last step did.</summary>
    public void Judged(int drafted, int accepted) => _speculation?.Judged(drafted, accepted);

    public int Sample(ReadOnlySpan<float> logits)
    {
        var token = _sampler.Sample(logits);
        if (_firstToken == TimeSpan.Zero)
            _firstToken = _time.GetElapsedTime(_arrived);
        if (_request.Logprobs && !Ends(token))
            _stepLogprobs.Add(LogProbabilities.Of(logits, token, _request.TopLogprobs, _vocabulary));
        return token;
    }

    /// <summary>Whether the token says that the reply is over, and is no part of it.</summary>
    public bool Ends(int token) => !_request.IgnoreEnd && _vocabulary.IsEndOfGeneration(token);

    /// <summary>The token, appended to the sequence already, becomes part of the reply. Returns why the reply is over, or null.</summary>
    public FinishReason? Take(int token)
    {
        _sampler.Accept(token);
        var bytes = _prompt.VisibleControlTokens.Contains(token) ? _vocabulary.Spelling(token) : _vocabulary.Bytes(token);
        var text = New(_stop.Append(_detokenizer.Append(bytes.Span)));
        _stepText = _stepText.Length == 0 ? text : _stepText + text;
        _stepTokens.Add(token);

        if (_stop.Matched)
            return FinishReason.Stop;
        return Sequence.GeneratedTokens >= _limit ? FinishReason.Length : null;
    }

    /// <summary>Hands the step's tokens to the reader.</summary>
    public void Deliver()
    {
        if (_stepTokens.Count == 0)
            return;
        _events.Writer.TryWrite(new GenerationDelta(_stepText, [.. _stepTokens], _stepLogprobs.Count == 0 ? [] : [.. _stepLogprobs]));
        _stepTokens.Clear();
        _stepLogprobs.Clear();
        _stepText = "";
    }

    /// <summary>The slot is free again; the caller may know.</summary>
    public void Finish(FinishReason reason)
    {
        Deliver();
        if (New(_stop.Flush()) is { Length: > 0 } held)
            _events.Writer.TryWrite(GenerationDelta.OfText(held));
        // A stop sequence that another one might have outrun is found only now.
        if (_stop.Matched)
            reason = FinishReason.Stop;

        _events.Writer.TryWrite(Finished(reason));
        End(null);
    }

    public void Fail(Exception exception) => End(exception);

    /// <summary>The reader has all it may have: the sequence's next step ends it, and this is how it ended. Any thread.</summary>
    public GenerationFinished EndHere(FinishReason reason)
    {
        Cancel();
        return Finished(reason);
    }

    /// <summary>A stop sequence may begin in what an earlier attempt has said. That text is delivered already: what the matcher holds of it is not ours to give.</summary>
    private void Prime(string continueFrom)
    {
        if (continueFrom.Length == 0)
            return;
        var longest = _request.Stop.Concat(_prompt.Stops).Select(stop => stop.Length).DefaultIfEmpty().Max();
        var tail = continueFrom[^Math.Min(Math.Max(0, longest - 1), continueFrom.Length)..];
        _delivered = tail.Length - _stop.Append(tail).Length;
    }

    private string New(string text)
    {
        var old = Math.Min(_delivered, text.Length);
        _delivered -= old;
        return old == 0 ? text : text[old..];
    }

    private GenerationFinished Finished(FinishReason reason)
    {
        var total = _time.GetElapsedTime(_arrived);
        var timings = new GenerationTimings(_queued, _firstToken - _queued, total - _firstToken, _firstToken);
        return new GenerationFinished(reason, Sequence.PromptTokens, Sequence.GeneratedTokens, timings)
        {
            StopSequence = _stop.Sequence,
            CachedTokens = Sequence.CachedTokens,
            DraftedTokens = _speculation?.Drafted ?? 0,
            AcceptedTokens = _speculation?.Accepted ?? 0,
        };
    }

    private static string KeyOf(IReadOnlyList<AdapterChoice> adapters) =>
        string.Join(';', adapters.Select(adapter => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{adapter.Id}*{adapter.Scale:R}")));

    private void End(Exception? exception)
    {
        if (!_events.Writer.TryComplete(exception))
            return;
        _constraint?.Dispose();
        _ended.TrySetResult();
    }
}
