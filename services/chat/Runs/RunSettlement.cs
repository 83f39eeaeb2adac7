using Fleet.Chat.Sessions;
using Fleet.Chat.Telemetry;
using Fleet.Contracts.Events;
using Npgsql;

namespace Fleet.Chat.Runs;

/// <summary>How a run ends, whichever way: reply, counts and event in one transaction, once; then the end of the log.</summary>
internal sealed partial class RunSettlement(RunStore store, IRunLog log, ChatMetrics metrics, TimeProvider time, ILogger<RunSettlement> logger)
{
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(60);

    public async Task FinishAsync(RunTurn turn, MessageError? error)
    {
        var (run, reply, progress) = (turn.Run, turn.Reply, turn.Progress);
        // A finished reply without a word is no success: the reader is told.
        if (error is null && turn.Finish is not null && progress.Text.Length == 0)
            error = new MessageError("empty-reply", "The model ended its answer without a word. Please try again.");
        var status = error is not null ? RunStatus.Failed : turn.Finish is null ? RunStatus.Stopped : RunStatus.Completed;
        var duration = time.GetUtcNow() - run.CreatedAt;
        var lastSeq = progress.NextSeq();

        reply.Content = progress.Text;
        reply.Status = status switch { RunStatus.Failed => MessageStatus.Failed, RunStatus.Stopped => MessageStatus.Stopped, _ => MessageStatus.Complete };
        reply.FinishReason = status switch { RunStatus.Failed => null, RunStatus.Stopped => "cancelled", _ => turn.Finish };
        if (progress.Model.Length > 0) reply.Model = progress.Model;
        reply.PromptTokens = progress.PromptTokens;
        reply.CachedTokens = progress.CachedTokens;
        reply.CompletionTokens = progress.CompletionTokens;
        reply.ProcessingTimeMs = duration.TotalMilliseconds;
        reply.TimeToFirstTokenMs = progress.FirstToken?.TotalMilliseconds;
        reply.Citations = turn.Citations.Cited;
        reply.Notices = turn.Notices;
        reply.Error = error;

        var stored = await StoreAsync(turn, status, lastSeq, EventOf(turn, error, duration)).ConfigureAwait(false);
        if (!stored)
        {
            Log.LeaseLost(logger, run.Id);
            return;
        }

        var view = MessageResponse.Of(reply);
        await log.AppendAsync(run.Id, error is null ? RunEvent.Completed(lastSeq, view) : RunEvent.Failed(lastSeq, error, view), CancellationToken.None).ConfigureAwait(false);
        metrics.RunEnded(run.Surface, status.ToString().ToLowerInvariant(), duration, progress.FirstToken);
        Log.Ended(logger, run.Id, status, progress.CompletionTokens, duration.TotalMilliseconds, error?.Type);
    }

    /// <summary>A reply that was generated is worth waiting for a database that restarts.</summary>
    private async Task<bool> StoreAsync(RunTurn turn, RunStatus status, long lastSeq, IntegrationEvent integrationEvent)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await store.FinishAsync(turn.Run.Id, status, lastSeq, turn.Reply, integrationEvent, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception.GetBaseException() is NpgsqlException { IsTransient: true } or System.Net.Sockets.SocketException or IOException
                && time.GetElapsedTime(started) < StorePatience)
            {
                Log.NotStored(logger, turn.Run.Id, exception.GetType().Name);
                await Task.Delay(TimeSpan.FromMilliseconds(500), time).ConfigureAwait(false);
            }
        }
    }

    private static IntegrationEvent EventOf(RunTurn turn, MessageError? error, TimeSpan duration)
    {
        var (run, reply, progress) = (turn.Run, turn.Reply, turn.Progress);
        if (error is not null)
        {
            return new ReplyFailed
            {
                UserId = run.UserId,
                SessionId = run.SessionId,
                MessageId = reply.Id,
                RunId = run.Id,
                Model = reply.Model ?? "",
                ErrorType = error.Type,
                PromptTokens = progress.PromptTokens,
                CompletionTokens = progress.CompletionTokens,
                Duration = duration,
            };
        }

        return new ReplyCompleted
        {
            UserId = run.UserId,
            SessionId = run.SessionId,
            MessageId = reply.Id,
            RunId = run.Id,
            Model = reply.Model ?? "",
            PromptTokens = progress.PromptTokens,
            CachedTokens = progress.CachedTokens,
            CompletionTokens = progress.CompletionTokens,
            FinishReason = reply.FinishReason ?? "stop",
            Duration = duration,
            TimeToFirstToken = progress.FirstToken,
            Citations = turn.Citations.Cited.Count,
            Surface = run.Surface,
        };
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Run {RunId} ended as {Status} after {Tokens} tokens and {DurationMs} ms, error {ErrorType}")]
        public static partial void Ended(ILogger logger, Guid runId, RunStatus status, int tokens, double durationMs, string? errorType);

        [LoggerMessage(LogLevel.Warning, "Run {RunId} has another owner now; its end here is dropped")]
        public static partial void LeaseLost(ILogger logger, Guid runId);

        [LoggerMessage(LogLevel.Warning, "The end of run {RunId} could not be stored yet: {Reason}")]
        public static partial void NotStored(ILogger logger, Guid runId, string reason);
    }
}
