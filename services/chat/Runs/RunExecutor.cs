using Fleet.Chat.Clients;
using Fleet.Chat.Sessions;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Chat.Runs;

/// <summary>
/// One assistant turn, start to end: 1 claim the lease, 2 restore what an earlier attempt left, 3 ask knowledge, 4 build the prompt,
/// 5 stream the reply into the log, 6 store it with its event, 7 end the log. A scope of its own; nothing of it depends on a request.
/// </summary>
internal sealed partial class RunExecutor(RunStore store, IRunLog log, RunPreparation preparation, InferenceClient inference, RunSettlement settlement,
    IOptions<RunOptions> options, IOptions<GenerationOptions> generation, TimeProvider time, ILogger<RunExecutor> logger)
{
    /// <summary>
    /// Where numbering goes on when a killed process took its in-memory log along: beyond anything a reader may have seen since the
    /// last checkpoint.
    /// </summary>
    private const long LostLogGap = 100_000;

    /// <param name="stop">A person's stop.</param>
    /// <param name="shutdown">This process ends: the run is handed over, not ended.</param>
    public async Task ExecuteAsync(RunWork work, CancellationToken stop, CancellationToken shutdown)
    {
        // 1
        if (!await store.ClaimAsync(work.RunId, options.Value.LeaseDuration, shutdown).ConfigureAwait(false)) return;

        var run = await store.GetAsync(work.RunId, shutdown).ConfigureAwait(false);
        var reply = await store.GetMessageAsync(run.MessageId, shutdown).ConfigureAwait(false);
        var turn = new RunTurn(run, reply, await RestoreAsync(run, reply, shutdown).ConfigureAwait(false));
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop, shutdown);
        using var heart = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        var heartbeat = BeatAsync(turn, ended, heart.Token);
        MessageError? error = null;
        try
        {
            if (run.CancelRequested) turn.StopRequested = true;
            else await AnswerAsync(turn, work.BearerToken, ended.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Which of the reasons it was is asked below.
        }
        catch (GenerationException exception)
        {
            error = new MessageError(exception.Type, exception.Title, (int?)exception.RetryAfter?.TotalMilliseconds);
        }
#pragma warning disable CA1031 // Whatever broke, the reader is told and the reply is stored as failed.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.Broke(logger, run.Id, exception);
            error = new MessageError("internal", "Something went wrong on our side.");
        }
        finally
        {
            await heart.CancelAsync().ConfigureAwait(false);
            await heartbeat.ConfigureAwait(false);
        }

        if (turn.LeaseLost)
        {
            Log.LeaseLost(logger, run.Id);
            return;
        }

        if (turn.Finish is null && error is null && !stop.IsCancellationRequested && !turn.StopRequested)
        {
            await HandOverAsync(turn).ConfigureAwait(false);
            return;
        }

        // 6, 7
        await settlement.FinishAsync(turn, error).ConfigureAwait(false);
    }

    /// <summary>Step 2. The log knows more than the database when it outlived the process (Redis); otherwise readers are told to start from the checkpoint.</summary>
    private async Task<RunProgress> RestoreAsync(Run run, Message reply, CancellationToken cancellationToken)
    {
        var events = await log.SnapshotAsync(run.Id, cancellationToken).ConfigureAwait(false);
        if (events.Count > 0)
        {
            var seen = string.Concat(events.Where(entry => entry.Type == RunEvent.Token).Select(entry => entry.ReadText()));
            var tokens = events.Count(entry => entry.Type == RunEvent.Token);
            var restored = new RunProgress(seen, Math.Max(events[^1].Seq, run.LastSeq)) { EarlierTokens = tokens, CompletionTokens = tokens };
            if (seen.Length >= reply.Content.Length || !reply.Content.StartsWith(seen, StringComparison.Ordinal)) return restored;
            // The log lost its last entries (Redis was away); the database has them.
            var missing = reply.Content[seen.Length..];
            restored.Append(missing);
            await log.AppendAsync(run.Id, RunEvent.ForToken(restored.NextSeq(), missing), cancellationToken).ConfigureAwait(false);
            return restored;
        }

        var isFirst = run.Attempts <= 1 || run.LastSeq == 0;
        var earlier = RunPreparation.EstimateTokens(reply.Content);
        var progress = new RunProgress(reply.Content, isFirst ? 0 : run.LastSeq + LostLogGap) { EarlierTokens = earlier, CompletionTokens = earlier };
        await log.AppendAsync(run.Id, RunEvent.Started(progress.NextSeq(), run.Id, reply.Id, run.UserMessageId), cancellationToken).ConfigureAwait(false);
        if (!isFirst)
        {
            var notice = new Notice("resumed", "The answer was interrupted and goes on from here.");
            await log.AppendAsync(run.Id, RunEvent.ForNotice(progress.NextSeq(), notice, reply.Content), cancellationToken).ConfigureAwait(false);
        }

        return progress;
    }

    private async Task AnswerAsync(RunTurn turn, string? bearerToken, CancellationToken cancellationToken)
    {
        if (turn.Run.Attempts > options.Value.MaxAttempts)
            throw new GenerationException("gave-up", StatusCodes.Status502BadGateway, "The answer was interrupted too often and was given up.");

        // 3, 4
        var request = await preparation.PrepareAsync(turn, bearerToken, cancellationToken).ConfigureAwait(false);

        // 5
        await foreach (var update in inference.GenerateAsync(request, generation.Value.ReconnectWindow, cancellationToken).ConfigureAwait(false))
            await ApplyAsync(turn, update, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask ApplyAsync(RunTurn turn, GenerationUpdate update, CancellationToken cancellationToken)
    {
        var progress = turn.Progress;
        switch (update)
        {
            case GenerationUpdate.Started started:
                progress.Model = started.Model;
                progress.PromptTokens = started.PromptTokens;
                progress.CachedTokens = started.CachedTokens;
                break;

            case GenerationUpdate.Delta { Text.Length: > 0 } delta:
                // A model may write what no database stores.
                var text = delta.Text.Replace("\0", "", StringComparison.Ordinal);
                progress.FirstToken ??= time.GetUtcNow() - turn.Run.CreatedAt;
                progress.CompletionTokens += delta.Tokens;
                // The log first: what a reader has seen, the next attempt must know.
                await log.AppendAsync(turn.Run.Id, RunEvent.ForToken(progress.NextSeq(), text), cancellationToken).ConfigureAwait(false);
                progress.Append(text);
                foreach (var citation in turn.Citations.Read(text))
                    await log.AppendAsync(turn.Run.Id, RunEvent.ForCitation(progress.NextSeq(), citation), cancellationToken).ConfigureAwait(false);
                break;

            case GenerationUpdate.Finished finished:
                progress.PromptTokens = finished.PromptTokens;
                progress.CachedTokens = finished.CachedTokens;
                progress.CompletionTokens = progress.EarlierTokens + finished.CompletionTokens;
                turn.Finish = finished.ReasonText;
                break;
        }
    }

    /// <summary>Renews the lease and stores the text about once a second, also while the model is silent; hears of stops asked elsewhere.</summary>
    private async Task BeatAsync(RunTurn turn, CancellationTokenSource ended, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(options.Value.CheckpointInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                try
                {
                    await CheckpointAsync(turn, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
                {
                    // The reader's stream goes on; the next beat may reach the database again.
                    Log.CheckpointFailed(logger, turn.Run.Id, exception.GetType().Name);
                }

                if (turn.LeaseLost || turn.StopRequested) await ended.CancelAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The turn is over.
        }
    }

    private async Task CheckpointAsync(RunTurn turn, CancellationToken cancellationToken)
    {
        var (text, seq) = turn.Progress.TakeCheckpoint();
        var answer = await store.CheckpointAsync(turn.Run.Id, options.Value.LeaseDuration, seq, text, cancellationToken).ConfigureAwait(false);
        if (answer is null) turn.LeaseLost = true;
        else if (answer.Value) turn.StopRequested = true;
    }

    private async Task HandOverAsync(RunTurn turn)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await store.CheckpointAsync(turn.Run.Id, options.Value.LeaseDuration, turn.Progress.Seq, turn.Progress.Text, patience.Token).ConfigureAwait(false);
            await store.ReleaseAsync(turn.Run.Id, patience.Token).ConfigureAwait(false);
            Log.HandedOver(logger, turn.Run.Id);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException)
        {
            Log.CheckpointFailed(logger, turn.Run.Id, exception.GetType().Name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Run {RunId} is handed over: this process ends")]
        public static partial void HandedOver(ILogger logger, Guid runId);

        [LoggerMessage(LogLevel.Warning, "Run {RunId} has another owner now; its work here is dropped")]
        public static partial void LeaseLost(ILogger logger, Guid runId);

        [LoggerMessage(LogLevel.Warning, "The state of run {RunId} could not be stored yet: {Reason}")]
        public static partial void CheckpointFailed(ILogger logger, Guid runId, string reason);

        [LoggerMessage(LogLevel.Error, "Run {RunId} broke")]
        public static partial void Broke(ILogger logger, Guid runId, Exception exception);
    }
}
