using System.Runtime.CompilerServices;
using Fleet.Chat.Clients;
using Fleet.Chat.Telemetry;
using Fleet.Contracts.Events;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Messaging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Chat.Generation;

/// <summary>
/// Replies that belong to a caller, not to a conversation (<c>/v1</c>, <c>/api/llm</c>): nothing is stored but the event that settles
/// the usage, once, however the stream ends. The caller gone means the work is cancelled.
/// </summary>
internal sealed partial class GenerationService(InferenceClient inference, NpgsqlDataSource database, Outbox outbox, ChatMetrics metrics,
    IOptions<GenerationOptions> options, TimeProvider time, ILogger<GenerationService> logger)
{
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(10);

    /// <param name="request">Its caller and request id (the run's id) are filled in.</param>
    /// <param name="surface">openai or generate.</param>
    /// <exception cref="GenerationException">The engine refused, failed or stayed away.</exception>
    public async IAsyncEnumerable<GenerationUpdate> GenerateAsync(GenerateRequest request, string surface,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var call = new Call(request, surface, time.GetUtcNow());
        metrics.RunStarted(surface);
        var updates = inference.GenerateAsync(request, options.Value.FirstAnswerWindow, cancellationToken).GetAsyncEnumerator(cancellationToken);
        try
        {
            while (await NextAsync(updates, call).ConfigureAwait(false))
            {
                Note(call, updates.Current);
                // Before the last word goes out: who has seen the end may rely on the count.
                if (updates.Current is GenerationUpdate.Finished && ++call.Ended == Math.Max(1, request.Choices)) await SettleAsync(call).ConfigureAwait(false);
                yield return updates.Current;
            }
        }
        finally
        {
            await updates.DisposeAsync().ConfigureAwait(false);
            await SettleAsync(call).ConfigureAwait(false);
        }
    }

    private static async Task<bool> NextAsync(IAsyncEnumerator<GenerationUpdate> updates, Call call)
    {
        try
        {
            return await updates.MoveNextAsync().ConfigureAwait(false);
        }
        catch (GenerationException exception)
        {
            call.ErrorType = exception.Type;
            throw;
        }
    }

    private void Note(Call call, GenerationUpdate update)
    {
        switch (update)
        {
            case GenerationUpdate.Started started:
                call.Model = started.Model;
                call.PromptTokens = started.PromptTokens;
                call.CachedTokens = started.CachedTokens;
                break;
            case GenerationUpdate.Delta delta:
                call.FirstToken ??= time.GetUtcNow() - call.StartedAt;
                call.CompletionTokens += delta.Tokens;
                break;
            case GenerationUpdate.Finished finished:
                call.PromptTokens = finished.PromptTokens;
                call.CachedTokens = finished.CachedTokens;
                call.FinishedTokens += finished.CompletionTokens;
                call.CompletionTokens = Math.Max(call.CompletionTokens, call.FinishedTokens);
                call.FinishReason = finished.ReasonText;
                break;
        }
    }

    private async Task SettleAsync(Call call)
    {
        if (call.IsSettled) return;
        call.IsSettled = true;
        var duration = time.GetUtcNow() - call.StartedAt;
        var outcome = call.ErrorType is not null ? "failed" : call.FinishReason is null ? "stopped" : "completed";
        metrics.RunEnded(call.Surface, outcome, duration, call.FirstToken);
        using var patience = new CancellationTokenSource(SettlePatience);
        try
        {
            await using var connection = await database.OpenConnectionAsync(patience.Token).ConfigureAwait(false);
            await using var transaction = await connection.BeginTransactionAsync(patience.Token).ConfigureAwait(false);
            await outbox.AddAsync(connection, transaction, EventOf(call, duration), patience.Token).ConfigureAwait(false);
            await transaction.CommitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException or TimeoutException)
        {
            // The caller has the answer; losing one count is the lesser harm, and it is said.
            Log.NotSettled(logger, call.RunId, call.PromptTokens, call.CompletionTokens, exception);
        }
    }

    private static IntegrationEvent EventOf(Call call, TimeSpan duration)
    {
        if (call.ErrorType is { } errorType)
        {
            return new ReplyFailed
            {
                UserId = call.UserId,
                RunId = call.RunId,
                Model = call.Model,
                ErrorType = errorType,
                PromptTokens = call.PromptTokens,
                CompletionTokens = call.CompletionTokens,
                Duration = duration,
            };
        }

        return new ReplyCompleted
        {
            UserId = call.UserId,
            RunId = call.RunId,
            Model = call.Model,
            PromptTokens = call.PromptTokens,
            CachedTokens = call.CachedTokens,
            CompletionTokens = call.CompletionTokens,
            FinishReason = call.FinishReason ?? "cancelled",
            Duration = duration,
            TimeToFirstToken = call.FirstToken,
            Surface = call.Surface,
        };
    }

    private sealed class Call(GenerateRequest request, string surface, DateTimeOffset startedAt)
    {
        public Guid RunId { get; } = Guid.Parse(request.RequestId);
        public Guid UserId { get; } = Guid.Parse(request.Caller.UserId);
        public string Surface => surface;
        public DateTimeOffset StartedAt => startedAt;
        public string Model { get; set; } = request.Model;
        public int PromptTokens { get; set; }
        public int CachedTokens { get; set; }
        public int CompletionTokens { get; set; }
        public int FinishedTokens { get; set; }
        public int Ended { get; set; }
        public TimeSpan? FirstToken { get; set; }
        public string? FinishReason { get; set; }
        public string? ErrorType { get; set; }
        public bool IsSettled { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "Usage of {RunId} ({PromptTokens} + {CompletionTokens} tokens) could not be recorded")]
        public static partial void NotSettled(ILogger logger, Guid runId, int promptTokens, int completionTokens, Exception exception);
    }
}
