using System.Globalization;
using System.Runtime.CompilerServices;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Models;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine;

/// <summary>
/// A loaded generator. Prepares requests on their callers' threads (template, grammar, every check that can refuse one), hands them to the
/// <see cref="DecodeLoop"/> and reads each reply from its own channel.
/// </summary>
internal sealed class InferenceEngine : ITextGenerator
{
    private readonly string _model;
    private readonly IModelRunner _runner;
    private readonly IVocabulary _vocabulary;
    private readonly IPromptFormat _format;
    private readonly ConstraintFactory _constraints;
    private readonly TimeProvider _time;
    private readonly DecodeLoop _loop;
    private readonly IDisposable? _observed;

    public InferenceEngine(
        string model, IModelRunner runner, EngineOptions options, TimeProvider time, ILogger<InferenceEngine> logger, EngineServices? services = null)
    {
        services ??= EngineServices.None;
        (_model, _runner, _vocabulary, _time) = (model, runner, runner.Vocabulary, time);
        _format = services.Format ?? new PlainPromptFormat(_vocabulary);
        _constraints = services.Constraints ?? new ConstraintFactory(_vocabulary);
        _loop = new DecodeLoop(model, runner, options, services, time, logger);
        _observed = services.Metrics?.Observe(model, _loop.Gauges);
    }

    public EngineActivity Activity => _loop.Activity;

    public TokenList Tokenize(string text)
    {
        var tokens = _vocabulary.TokenizePrompt(text, continueFrom: "");
        return new TokenList(tokens, tokens.Count);
    }

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools)
    {
        var tokens = _format.Prepare(new GenerationRequest { RequestId = "", Messages = messages, Tools = tools }).Tokens;
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
            await foreach (var generationEvent in new ReplyReader(reply).ReadAsync(CancellationToken.None))
                yield return generationEvent;
        }
        finally
        {
            // The caller stopped reading, or the reply ended and this does nothing.
            Cancel(reply);
            await reply.Ended;
        }
    }

    /// <summary>Forgets the prefixes kept for later requests.</summary>
    public Task ForgetPrefixesAsync() => _loop.ForgetAsync();

    public async ValueTask DisposeAsync()
    {
        _observed?.Dispose();
        await _loop.DisposeAsync();
        (_format as IDisposable)?.Dispose();
    }

    private Reply Enqueue(GenerationRequest request)
    {
        Check(request);
        var prompt = _format.Prepare(request);
        try
        {
            return Enqueue(request, prompt);
        }
        catch
        {
            // A parser may hold native memory.
            prompt.Parser.Finish(complete: false);
            throw;
        }
    }

    private Reply Enqueue(GenerationRequest request, PreparedPrompt prompt)
    {
        if (prompt.Tokens.Count == 0)
            throw new EngineException(EngineError.InvalidRequest, "The prompt has no tokens.");
        if (prompt.Tokens.Count >= _runner.ContextTokens)
            throw TooLong(prompt.Tokens.Count, _runner.ContextTokens);

        var constraint = prompt.Grammar is { } grammar ? _constraints.Create(Continued(grammar, request.ContinueFrom)) : null;
        try
        {
            var reply = new Reply(request, prompt, constraint, _runner.ContextTokens, _vocabulary, _time);
            var admission = _loop.Enqueue(reply);
            return admission.Result == AdmissionResult.Accepted ? reply : throw Refused(admission, prompt.Tokens.Count);
        }
        catch
        {
            constraint?.Dispose();
            throw;
        }
    }

    // What was said before the attempt that goes on must follow the grammar too; a template that continues a turn has put it there itself.
    private static GrammarSpec Continued(GrammarSpec grammar, string continueFrom) =>
        continueFrom.Length == 0 || grammar.Lazy || grammar.Prefix.Length > 0 ? grammar : grammar with { Prefix = continueFrom };

    private void Check(GenerationRequest request)
    {
        foreach (var token in request.PromptTokens)
        {
            if ((uint)token >= (uint)_vocabulary.Size)
                throw new EngineException(EngineError.InvalidRequest, $"prompt_tokens: {_model} has no token {token.ToString(CultureInfo.InvariantCulture)}.");
        }

        if (request.Adapters.FirstOrDefault(adapter => !_runner.HasAdapter(adapter.Id)) is { Id: { } unknown })
            throw new EngineException(EngineError.InvalidRequest, $"adapters: {_model} has no adapter {unknown}{(_runner.AdapterIds.Count > 0 ? $"; it has {string.Join(", ", _runner.AdapterIds)}" : "")}.");
        if (request.Deadline is { } deadline && deadline <= _time.GetUtcNow())
            throw new EngineException(EngineError.DeadlineExceeded, "The deadline has passed.");
    }

    private EngineException Refused(Admission admission, int promptTokens)
    {
        return admission.Result switch
        {
            AdmissionResult.TooLong => TooLong(promptTokens, _loop.MaxSequenceTokens),
            AdmissionResult.Closed => new EngineException(EngineError.Unavailable, $"{_model} is being unloaded.") { RetryAfter = TimeSpan.FromSeconds(1) },
            AdmissionResult.UserQueueFull => Full($"{admission.Queued} of your requests are already waiting for {_model}."),
            AdmissionResult.DeadlineTooSoon => Full($"{_model} would begin only in about {admission.EstimatedWait.TotalSeconds:F0} s, after the deadline."),
            _ => Full($"{admission.Queued} requests are already waiting for {_model}."),
        };

        EngineException Full(string message) => new(EngineError.QueueFull, message)
        {
            Queued = admission.Queued,
            Running = admission.Running,
            RetryAfter = admission.EstimatedWait > TimeSpan.FromSeconds(1) ? admission.EstimatedWait : TimeSpan.FromSeconds(1),
        };
    }

    private EngineException TooLong(int promptTokens, int limit) =>
        new(EngineError.NotSupported, $"The prompt has {promptTokens} tokens; the context of {_model} holds {limit}.");

    private void Cancel(Reply reply)
    {
        reply.Cancel();
        _loop.Wake();
    }
}
