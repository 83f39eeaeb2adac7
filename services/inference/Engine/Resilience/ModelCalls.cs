using System.Runtime.CompilerServices;
using Fleet.Inference.Models;
using Fleet.Inference.Telemetry;

namespace Fleet.Inference.Engine.Resilience;

/// <summary>An event of one of a request's replies, and the model that says it.</summary>
internal readonly record struct ReplyEvent(string Model, int Choice, GenerationEvent Event);

/// <summary>
/// Every call of a model goes through here: it leases the model, asks the circuits of the model and its upstream, counts, and lets the next
/// model of the chain answer when one fails before its first token. After the first token nothing is switched: the reader has begun to read.
/// </summary>
internal sealed partial class ModelCalls(
    ModelHost models, ModelRouting routing, CircuitBreakers circuits, InferenceMetrics metrics, TimeProvider time, ILogger<ModelCalls> logger)
{
    /// <summary>
    /// All replies to one prompt. One Started stands for them; it says which model answers, unless that fails after it and before the first
    /// token: then the endings say who answered.
    /// </summary>
    /// <param name="model">A model, a role, or empty for the default chat model.</param>
    /// <param name="choices">Alike but for id and seed.</param>
    public async IAsyncEnumerable<ReplyEvent> GenerateAsync(
        string model, IReadOnlyList<GenerationRequest> choices, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var chain = routing.Resolve(model, ModelKind.Chat);
        if (!IsPortable(choices[0]))
            chain = [chain[0]];
        string? announced = null;
        Exception? reason = null;
        for (var i = 0; i < chain.Count; i++)
        {
            var committed = false;
            await using var events = AttemptAsync(chain[i], choices, cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (true)
            {
                try
                {
                    if (!await events.MoveNextAsync())
                        yield break;
                }
                catch (Exception exception) when (!committed && !cancellationToken.IsCancellationRequested)
                {
                    // What a stand-in cannot do is not the caller's mistake: the reason is why the model asked for did not answer.
                    reason ??= exception;
                    if (i == 0 && !AnotherMayAnswer(exception, choices[0]) || i == chain.Count - 1 && reason == exception)
                        throw;
                    if (i == chain.Count - 1)
                        throw Rethrown(reason);

                    Log.FallingBack(logger, chain[i], KindOf(exception), chain[i + 1]);
                    metrics.FellBack(chain[i], chain[i + 1]);
                    break;
                }

                var current = events.Current;
                switch (current.Event)
                {
                    case GenerationStarted when announced is not null:
                        continue;
                    case GenerationStarted:
                        announced = current.Model;
                        break;
                    case GenerationFinished finished when announced != current.Model:
                        current = current with { Event = finished with { Model = current.Model } };
                        break;
                }

                committed |= current.Event is not GenerationStarted;
                yield return current;
            }
        }
    }

    /// <summary>A call with one answer. No fall-back: vectors of another model are in another space, and another reranker scores on another scale.</summary>
    public async Task<TResult> CallAsync<TEngine, TResult>(
        string model, Func<ModelLease<TEngine>, Task<TResult>> call, CancellationToken cancellationToken)
        where TEngine : class, IModelEngine
    {
        using var lease = await models.AcquireAsync<TEngine>(model, cancellationToken);
        using var circuit = circuits.Enter(lease.Model.Id, lease.Model.Upstream);
        try
        {
            var result = await call(lease);
            circuit.Succeeded();
            return result;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            lease.Statistics.Failed();
            circuit.Failed(exception);
            throw;
        }
    }

    private async IAsyncEnumerable<ReplyEvent> AttemptAsync(
        string id, IReadOnlyList<GenerationRequest> choices, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var lease = await models.AcquireAsync<ITextGenerator>(id, cancellationToken);
        using var circuit = circuits.Enter(lease.Model.Id, lease.Model.Upstream);
        var replies = choices.Select((choice, index) => ReplyAsync(lease, choice, index, cancellationToken)).ToList();
        var spoke = false;
        try
        {
            await using var events = Merge.Streams(replies, cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (true)
            {
                try
                {
                    if (!await events.MoveNextAsync())
                        break;
                }
                catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
                {
                    circuit.Failed(exception);
                    throw;
                }

                spoke |= events.Current.Event is not GenerationStarted;
                yield return events.Current;
            }
        }
        finally
        {
            // A reader who has had enough saw a model that works.
            if (spoke)
                circuit.Succeeded();
        }
    }

    private async IAsyncEnumerable<ReplyEvent> ReplyAsync(
        ModelLease<ITextGenerator> lease, GenerationRequest request, int choice, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var measured = metrics.StartGeneration(lease.Model.Id, time);
        var cached = 0;
        var ended = false;
        await using var events = lease.Engine.GenerateAsync(request, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await events.MoveNextAsync())
                {
                    // An engine that stops in the middle of a sentence has failed, whatever it believes.
                    if (!ended)
                        throw new EngineException(EngineError.Internal, "The reply ended without a result.");
                    yield break;
                }
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                lease.Statistics.Failed();
                measured.Failed(exception);
                throw;
            }

            var current = events.Current;
            if (current is GenerationStarted started)
                cached = started.CachedTokens;
            if (current is GenerationFinished finished)
            {
                ended = true;
                current = finished with { CachedTokens = finished.CachedTokens ?? cached };
                lease.Statistics.Completed(finished.PromptTokens, finished.CompletionTokens);
            }

            measured.Observe(current);
            yield return new ReplyEvent(lease.Model.Id, choice, current);
        }
    }

    // What names tokens or adapters of one model means nothing, or something else, to another.
    private static bool IsPortable(GenerationRequest request) =>
        request is { PromptTokens.Count: 0, Adapters.Count: 0, Sampling.LogitBias.Count: 0 };

    private static bool AnotherMayAnswer(Exception exception, GenerationRequest request) => exception switch
    {
        EngineException { Error: EngineError.Unavailable or EngineError.Internal or EngineError.ModelNotFound } => true,

        // A full queue of our own is a refusal to pass on, or overload would spread from model to model; an upstream's limit is not ours.
        EngineException { Error: EngineError.QueueFull, Upstream: true } => true,

        // Hosted models that cannot go on from another's words.
        EngineException { Error: EngineError.NotSupported, Upstream: true } => request.ContinueFrom.Length > 0,
        EngineException => false,
        _ => true,
    };

    private static EngineException Rethrown(Exception reason) => reason is EngineException engine
        ? new EngineException(engine.Error, engine.Message, engine)
        {
            Queued = engine.Queued,
            Running = engine.Running,
            RetryAfter = engine.RetryAfter,
            Upstream = engine.Upstream,
        }
        : new EngineException(EngineError.Internal, "The model failed.", reason);

    private static string KindOf(Exception exception) => exception is EngineException engine ? engine.Error.ToString() : exception.GetType().Name;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Model {Model} failed ({Error}) before its first token; {Next} is to answer")]
        public static partial void FallingBack(ILogger logger, string model, string error, string next);
    }
}
