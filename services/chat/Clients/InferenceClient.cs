using System.Runtime.CompilerServices;
using System.Text;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Security;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Clients;

/// <summary>
/// Calls inference with this service's own token. A stream that breaks is taken up again on the next replica, with the text
/// so far as <c>continue_from</c>: the reader sees a pause, never a lost or doubled token.
/// </summary>
internal sealed partial class InferenceClient(ServiceChannels channels, ServiceTokenSource tokens, IOptions<GenerationOptions> options,
    TimeProvider time, ILogger<InferenceClient> logger)
{
    /// <summary>Attempts in a row that die without a token, for failures other than "not there": the request itself is at fault.</summary>
    private const int FruitlessAttempts = 3;

    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(2);

    /// <param name="request">Its <c>continue_from</c> may already carry text of an earlier process.</param>
    /// <param name="firstAnswerWindow">How long to insist before the first sign of life.</param>
    /// <exception cref="GenerationException">The engine refused, failed or stayed away.</exception>
    public async IAsyncEnumerable<GenerationUpdate> GenerateAsync(GenerateRequest request, TimeSpan firstAnswerWindow,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var deadline = time.GetUtcNow() + options.Value.Timeout;
        var attempt = request.Clone();
        var text = new StringBuilder(request.ContinueFrom);
        GenerationUpdate.Started? started = null;
        var generated = 0;
        var choices = Math.Max(1, request.Choices);
        var ended = 0;
        var fruitless = 0;
        var lastSign = time.GetTimestamp();

        while (true)
        {
            RpcException? failure = null;
            AsyncServerStreamingCall<GenerateResponse>? call = null;
            try
            {
                call = await OpenAsync(attempt, deadline, cancellationToken).ConfigureAwait(false);
            }
            catch (RpcException exception)
            {
                failure = exception;
            }

            using (call)
            {
                while (failure is null)
                {
                    GenerateResponse? response = null;
                    try
                    {
                        if (await call!.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false)) response = call.ResponseStream.Current;
                        else failure = new RpcException(new Status(StatusCode.Unavailable, "The stream ended without a result."));
                    }
                    catch (RpcException exception)
                    {
                        failure = exception;
                    }

                    if (response is null) continue;
                    lastSign = time.GetTimestamp();
                    switch (response.EventCase)
                    {
                        case GenerateResponse.EventOneofCase.Started when started is null:
                            started = new(response.Started.Model, response.Started.PromptTokens, response.Started.CachedTokens);
                            yield return started;
                            break;

                        case GenerateResponse.EventOneofCase.Delta:
                            var delta = response.Delta;
                            fruitless = 0;
                            generated += delta.TokenIds.Count;
                            text.Append(delta.HasRaw ? delta.Raw : delta.Text);
                            var update = new GenerationUpdate.Delta(delta.Text, delta.TokenIds.Count, delta.Logprobs)
                            {
                                Choice = delta.Choice,
                                Reasoning = delta.Reasoning,
                                ToolCalls = delta.ToolCalls,
                            };
                            if (!update.IsEmpty) yield return update;
                            break;

                        case GenerateResponse.EventOneofCase.Finished:
                            var usage = response.Finished.Usage;
                            // After a break the engine counts its own part only; ours is the whole.
                            var completion = attempt.ContinueFrom == request.ContinueFrom ? usage?.CompletionTokens ?? generated : generated;
                            yield return new GenerationUpdate.Finished(response.Finished.Reason,
                                started?.PromptTokens ?? usage?.PromptTokens ?? 0, started?.CachedTokens ?? usage?.CachedTokens ?? 0, completion)
                            {
                                Choice = response.Finished.Choice,
                                ReasoningTokens = usage?.ReasoningTokens ?? 0,
                                Prediction = (usage?.DraftedTokens ?? 0, usage?.AcceptedTokens ?? 0),
                            };
                            if (++ended == choices) yield break;
                            break;
                    }
                }
            }

            cancellationToken.ThrowIfCancellationRequested();
            var delay = NextDelay(failure, started is null ? firstAnswerWindow : options.Value.ReconnectWindow, lastSign, ++fruitless);
            // Several choices cannot be taken up again: what was said differs from choice to choice.
            var isLost = choices > 1 && generated > 0;
            if (delay is null || isLost || time.GetUtcNow() >= deadline) throw GenerationException.From(failure);

            Log.TryingAgain(logger, request.RequestId, failure.StatusCode, generated);
            await Task.Delay(delay.Value, time, cancellationToken).ConfigureAwait(false);
            attempt.ContinueFrom = text.ToString();
            if (request.MaxTokens == 0) continue;
            attempt.MaxTokens = request.MaxTokens - generated;
            if (attempt.MaxTokens > 0) continue;
            yield return new GenerationUpdate.Finished(FinishReason.Length, started?.PromptTokens ?? 0, started?.CachedTokens ?? 0, generated);
            yield break;
        }
    }

    /// <exception cref="GenerationException">Inference refused, failed or stayed away.</exception>
    public Task<EmbedResponse> EmbedAsync(EmbedRequest request, CancellationToken cancellationToken) =>
        UnaryAsync((client, call) => client.EmbedAsync(request, call), options.Value.Timeout, cancellationToken);

    /// <inheritdoc cref="EmbedAsync"/>
    public Task<RerankResponse> RerankAsync(RerankRequest request, CancellationToken cancellationToken) =>
        UnaryAsync((client, call) => client.RerankAsync(request, call), options.Value.Timeout, cancellationToken);

    /// <inheritdoc cref="EmbedAsync"/>
    public Task<ListModelsResponse> ListModelsAsync(CancellationToken cancellationToken) =>
        UnaryAsync((client, call) => client.ListModelsAsync(new ListModelsRequest(), call), options.Value.CallTimeout, cancellationToken);

    /// <summary>The circuits of every replica that answers; each keeps its own.</summary>
    /// <exception cref="GenerationException">None answers.</exception>
    public async Task<IReadOnlyList<(int Replica, Circuit Circuit)>> ListCircuitsAsync(CancellationToken cancellationToken)
    {
        RpcException? failure = null;
        var answered = false;
        var circuits = new List<(int, Circuit)>();
        foreach (var (index, replica) in channels.All("inference").Index())
        {
            try
            {
                var call = await CallOptionsAsync(time.GetUtcNow() + options.Value.CallTimeout, cancellationToken).ConfigureAwait(false);
                var response = await new Inference.InferenceClient(replica).ListCircuitsAsync(new ListCircuitsRequest(), call).ConfigureAwait(false);
                circuits.AddRange(response.Circuits.Select(circuit => (index + 1, circuit)));
                answered = true;
            }
            catch (RpcException exception)
            {
                cancellationToken.ThrowIfCancellationRequested();
                failure = exception;
            }
        }

        return answered || failure is null ? circuits : throw GenerationException.From(failure);
    }

    /// <inheritdoc cref="EmbedAsync"/>
    public async Task<int> CountTokensAsync(string model, string text, CancellationToken cancellationToken) =>
        (await UnaryAsync((client, call) => client.TokenizeAsync(new TokenizeRequest { Model = model, Text = text }, call),
            options.Value.CallTimeout, cancellationToken).ConfigureAwait(false)).Count;

    private async Task<TResponse> UnaryAsync<TResponse>(Func<Inference.InferenceClient, CallOptions, AsyncUnaryCall<TResponse>> method,
        TimeSpan timeout, CancellationToken cancellationToken)
    {
        // Short calls change nothing: one more try on the next replica costs less than an error.
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var call = await CallOptionsAsync(time.GetUtcNow() + timeout, cancellationToken).ConfigureAwait(false);
                return await method(new Inference.InferenceClient(channels.Next("inference")), call).ConfigureAwait(false);
            }
            catch (RpcException exception)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (attempt > 1 || exception.StatusCode != StatusCode.Unavailable) throw GenerationException.From(exception);
            }
        }
    }

    private async Task<AsyncServerStreamingCall<GenerateResponse>> OpenAsync(GenerateRequest request, DateTimeOffset deadline,
        CancellationToken cancellationToken) =>
        new Inference.InferenceClient(channels.Next("inference")).Generate(
            request, await CallOptionsAsync(deadline, cancellationToken).ConfigureAwait(false));

    private async Task<CallOptions> CallOptionsAsync(DateTimeOffset deadline, CancellationToken cancellationToken)
    {
        string token;
        try
        {
            token = await tokens.GetTokenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException exception)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "No service token: auth does not answer.", exception));
        }

        return new CallOptions(new Metadata { { "authorization", "Bearer " + token } }, deadline.UtcDateTime, cancellationToken);
    }

    /// <summary>Null when trying again makes no sense.</summary>
    private TimeSpan? NextDelay(RpcException failure, TimeSpan window, long lastSign, int fruitless)
    {
        var transient = failure.StatusCode switch
        {
            StatusCode.Unavailable => true,
            // A dying process shows itself as any of these, and so does a request that kills it every time.
            StatusCode.Internal or StatusCode.Unknown or StatusCode.Cancelled or StatusCode.Aborted or StatusCode.DataLoss => fruitless < FruitlessAttempts,
            _ => false,
        };
        if (!transient || time.GetElapsedTime(lastSign) >= window) return null;

        var delay = options.Value.FirstRetryDelay * Math.Pow(2, Math.Min(fruitless - 1, 10));
        return delay < LongestDelay ? delay : LongestDelay;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Generation {RequestId} broke with {StatusCode} after {Tokens} tokens; trying again")]
        public static partial void TryingAgain(ILogger logger, string requestId, StatusCode statusCode, int tokens);
    }
}
