using System.Text;
using Fleet.Chat.Clients;
using Fleet.Chat.Sessions;
using Fleet.Chat.Telemetry;
using Fleet.Contracts.Events;
using Fleet.Contracts.Inference.V1;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Chat.Runs;

/// <summary>
/// One assistant turn, start to end: 1 claim the lease, 2 restore what an earlier attempt left, 3 ask knowledge, 4 build the prompt,
/// 5 stream the reply into the log, 6 store it with its event, 7 end the log. A scope of its own; nothing of it depends on a request.
/// </summary>
internal sealed partial class RunExecutor(RunStore store, IRunLog log, InferenceClient inference, KnowledgeClient knowledge, ModelCatalogue models,
    ChatMetrics metrics, IOptions<RunOptions> options, IOptions<GenerationOptions> generation, TimeProvider time, ILogger<RunExecutor> logger)
{
    /// <summary>Names this process in leases.</summary>
    private static readonly Guid Owner = Guid.NewGuid();

    /// <summary>
    /// Where numbering goes on when a killed process took its in-memory log along: beyond anything a reader may have seen since the
    /// last checkpoint.
    /// </summary>
    private const long LostLogGap = 100_000;

    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(60);

    /// <param name="stop">A person's stop.</param>
    /// <param name="shutdown">This process ends: the run is handed over, not ended.</param>
    public async Task ExecuteAsync(RunWork work, CancellationToken stop, CancellationToken shutdown)
    {
        // 1
        if (!await store.ClaimAsync(work.RunId, Owner, options.Value.LeaseDuration, shutdown).ConfigureAwait(false)) return;

        var run = await store.GetAsync(work.RunId, shutdown).ConfigureAwait(false);
        var reply = await store.GetMessageAsync(run.MessageId, shutdown).ConfigureAwait(false);
        var turn = new Turn(run, reply, await RestoreAsync(run, reply, shutdown).ConfigureAwait(false));
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop, shutdown);
        using var heart = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        var heartbeat = BeatAsync(turn, ended, heart.Token);
        MessageError? error = null;
        try
        {
            if (run.CancelRequested) turn.StopRequested = true;
            else await AnswerAsync(turn, work.BearerToken, ended.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (ended.IsCancellationRequested && exception is OperationCanceledException or GenerationException)
        {
            // Which of the reasons it was is asked below.
        }
        catch (GenerationException exception)
        {
            error = new MessageError(exception.Type, exception.Title, (int?)exception.RetryAfter?.TotalMilliseconds);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            Log.Broke(logger, run.Id, exception);
            error = new MessageError("internal", "Something went wrong on our side.");
        }

        await heart.CancelAsync().ConfigureAwait(false);
        await heartbeat.ConfigureAwait(false);
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

        await FinishAsync(turn, error).ConfigureAwait(false);
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
        var earlier = EstimateTokens(reply.Content);
        var progress = new RunProgress(reply.Content, isFirst ? 0 : run.LastSeq + LostLogGap) { EarlierTokens = earlier, CompletionTokens = earlier };
        await log.AppendAsync(run.Id, RunEvent.Started(progress.NextSeq(), run.Id, reply.Id, run.UserMessageId), cancellationToken).ConfigureAwait(false);
        if (!isFirst)
        {
            var notice = new Notice("resumed", "The answer was interrupted and goes on from here.");
            await log.AppendAsync(run.Id, RunEvent.ForNotice(progress.NextSeq(), notice, reply.Content), cancellationToken).ConfigureAwait(false);
        }

        return progress;
    }

    private async Task AnswerAsync(Turn turn, string? bearerToken, CancellationToken cancellationToken)
    {
        if (turn.Run.Attempts > options.Value.MaxAttempts)
            throw new GenerationException("gave-up", StatusCodes.Status502BadGateway, "The answer was interrupted too often and was given up.");

        var config = turn.Reply.Parameters ?? new SessionConfig();
        var question = await store.GetMessageAsync(turn.Run.UserMessageId, cancellationToken).ConfigureAwait(false);
        var history = await store.HistoryAsync(question, cancellationToken).ConfigureAwait(false);

        // 3
        var passages = config.UseKnowledge == true ? await RetrieveAsync(turn, question.Content, config, bearerToken, cancellationToken).ConfigureAwait(false) : [];

        // 4
        var model = await models.FindAsync(config.Model, cancellationToken).ConfigureAwait(false);
        var budget = (model is { ContextTokens: > 0 } ? model.ContextTokens : options.Value.DefaultPromptTokens + options.Value.ReplyReserveTokens)
            - Math.Min(config.MaxTokens ?? options.Value.ReplyReserveTokens, (model?.ContextTokens is > 0 and var context ? context : int.MaxValue) / 2);
        var builder = new PromptBuilder(TokenCounter(config, history, passages, question.Content, budget));
        var prompt = await builder.BuildAsync(config.SystemPrompt, passages, history, question.Content, budget, cancellationToken).ConfigureAwait(false);
        foreach (var notice in prompt.Notices) await NoticeAsync(turn, notice, cancellationToken).ConfigureAwait(false);

        // 5
        turn.Citations = new CitationReader(prompt.Passages);
        turn.Citations.Read(turn.Progress.Text);
        var request = CreateRequest(turn, config, prompt);
        await foreach (var update in inference.GenerateAsync(request, generation.Value.ReconnectWindow, cancellationToken).ConfigureAwait(false))
            await ApplyAsync(turn, update, cancellationToken).ConfigureAwait(false);
    }

    private async Task<IReadOnlyList<Citation>> RetrieveAsync(Turn turn, string question, SessionConfig config, string? bearerToken, CancellationToken cancellationToken)
    {
        if (turn.Run.Passages is { } stored) return stored;

        // A run taken over from a dead process has nobody's token: it goes on without documents and says so.
        var (outcome, passages) = bearerToken is null
            ? (KnowledgeOutcome.Unavailable, (IReadOnlyList<Citation>)[])
            : await knowledge.SearchAsync(question, options.Value.Passages, config.Collections ?? [], bearerToken, cancellationToken).ConfigureAwait(false);
        var notice = outcome switch
        {
            KnowledgeOutcome.Unavailable => new Notice("knowledge-unavailable", "Documents could not be searched; this answer does without them."),
            KnowledgeOutcome.UnknownCollection => new Notice("collection-not-found", "A collection of this conversation is gone or not yours; this answer does without documents."),
            _ when passages.Count == 0 => new Notice("no-passages", "No passage in the documents fits this question."),
            _ => null,
        };
        if (notice is not null) await NoticeAsync(turn, notice, cancellationToken).ConfigureAwait(false);
        await store.SavePassagesAsync(turn.Run.Id, Owner, passages, cancellationToken).ConfigureAwait(false);
        return passages;
    }

    /// <summary>Every token is at least one byte, so what fits by bytes needs no question; else the model counts, or a third of the bytes when it does not answer.</summary>
    private Func<string, CancellationToken, ValueTask<int>> TokenCounter(SessionConfig config, IReadOnlyList<Message> history,
        IReadOnlyList<Citation> passages, string question, int budget)
    {
        const int overhead = 64;
        var bytes = Encoding.UTF8.GetByteCount(question) + Encoding.UTF8.GetByteCount(config.SystemPrompt ?? "")
            + history.Sum(message => Encoding.UTF8.GetByteCount(message.Content) + overhead)
            // Passages may take half of the rest only.
            + (2 * passages.Sum(passage => Encoding.UTF8.GetByteCount(passage.Text) + Encoding.UTF8.GetByteCount(passage.Title) + overhead))
            + (passages.Count > 0 ? 1024 : overhead);
        if (bytes <= budget) return (text, _) => ValueTask.FromResult(Encoding.UTF8.GetByteCount(text));

        var answers = true;
        return async (text, cancellationToken) =>
        {
            if (answers)
            {
                try
                {
                    return await inference.CountTokensAsync(config.Model ?? "", text, cancellationToken).ConfigureAwait(false);
                }
                catch (GenerationException)
                {
                    answers = false;
                }
            }

            return EstimateTokens(text);
        };
    }

    private static int EstimateTokens(string text) => (Encoding.UTF8.GetByteCount(text) + 2) / 3;

    private static GenerateRequest CreateRequest(Turn turn, SessionConfig config, Prompt prompt)
    {
        var sampling = new SamplingParameters();
        if (config.Temperature is { } temperature) sampling.Temperature = (float)temperature;
        if (config.TopP is { } topP) sampling.TopP = (float)topP;
        var request = new GenerateRequest
        {
            Model = config.Model ?? "",
            RequestId = turn.Run.Id.ToString(),
            Caller = new Caller { TenantId = turn.Run.TenantId, UserId = turn.Run.UserId.ToString(), Lane = Lane.Interactive },
            // At least one, so that a reply whose limit was reached just before its process died still ends by itself.
            MaxTokens = config.MaxTokens is { } limit ? Math.Max(1, limit - turn.Progress.EarlierTokens) : 0,
            Sampling = sampling,
            ContinueFrom = turn.Progress.Text,
        };
        request.Messages.AddRange(prompt.Messages);
        request.Passages.AddRange(prompt.Passages.Select(passage => new Passage
        {
            Number = passage.Number,
            DocumentId = passage.DocumentId,
            ChunkId = passage.ChunkId,
            Title = passage.Title,
            Text = passage.Text,
            Score = passage.Score,
        }));
        return request;
    }

    private async ValueTask ApplyAsync(Turn turn, GenerationUpdate update, CancellationToken cancellationToken)
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
                progress.FirstToken ??= time.GetUtcNow() - turn.Run.CreatedAt;
                progress.CompletionTokens += delta.Tokens;
                // The log first: what a reader has seen, the next attempt must know.
                await log.AppendAsync(turn.Run.Id, RunEvent.ForToken(progress.NextSeq(), delta.Text), cancellationToken).ConfigureAwait(false);
                progress.Append(delta.Text);
                foreach (var citation in turn.Citations.Read(delta.Text))
                    await log.AppendAsync(turn.Run.Id, RunEvent.ForCitation(progress.NextSeq(), citation), cancellationToken).ConfigureAwait(false);
                break;

            case GenerationUpdate.Finished finished:
                progress.PromptTokens = finished.PromptTokens;
                progress.CachedTokens = finished.CachedTokens;
                progress.CompletionTokens = progress.EarlierTokens + finished.CompletionTokens;
                turn.Finish = finished.Reason == FinishReason.Length ? "length" : "stop";
                break;
        }
    }

    private async Task NoticeAsync(Turn turn, Notice notice, CancellationToken cancellationToken)
    {
        turn.Notices.Add(notice);
        await log.AppendAsync(turn.Run.Id, RunEvent.ForNotice(turn.Progress.NextSeq(), notice), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Renews the lease and stores the text about once a second, also while the model is silent; hears of stops asked elsewhere.</summary>
    private async Task BeatAsync(Turn turn, CancellationTokenSource ended, CancellationToken cancellationToken)
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

    private async Task CheckpointAsync(Turn turn, CancellationToken cancellationToken)
    {
        var (text, seq) = turn.Progress.TakeCheckpoint();
        var answer = await store.CheckpointAsync(turn.Run.Id, Owner, options.Value.LeaseDuration, seq, text, cancellationToken).ConfigureAwait(false);
        if (answer is null) turn.LeaseLost = true;
        else if (answer.Value) turn.StopRequested = true;
    }

    private async Task HandOverAsync(Turn turn)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await store.CheckpointAsync(turn.Run.Id, Owner, options.Value.LeaseDuration, turn.Progress.Seq, turn.Progress.Text, patience.Token).ConfigureAwait(false);
            await store.ReleaseAsync(turn.Run.Id, Owner, patience.Token).ConfigureAwait(false);
            Log.HandedOver(logger, turn.Run.Id);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException)
        {
            Log.CheckpointFailed(logger, turn.Run.Id, exception.GetType().Name);
        }
    }

    /// <summary>Steps 6 and 7.</summary>
    private async Task FinishAsync(Turn turn, MessageError? error)
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
    private async Task<bool> StoreAsync(Turn turn, RunStatus status, long lastSeq, IntegrationEvent integrationEvent)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await store.FinishAsync(turn.Run.Id, Owner, status, lastSeq, turn.Reply, integrationEvent, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception.GetBaseException() is NpgsqlException { IsTransient: true } or System.Net.Sockets.SocketException or IOException
                && time.GetElapsedTime(started) < StorePatience)
            {
                Log.CheckpointFailed(logger, turn.Run.Id, exception.GetType().Name);
                await Task.Delay(TimeSpan.FromMilliseconds(500), time).ConfigureAwait(false);
            }
        }
    }

    private static IntegrationEvent EventOf(Turn turn, MessageError? error, TimeSpan duration)
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

    /// <summary>One execution's state; its executor writes it, the heartbeat sets the two flags.</summary>
    private sealed class Turn(Run run, Message reply, RunProgress progress)
    {
        private volatile bool _leaseLost;
        private volatile bool _stopRequested;

        public Run Run => run;
        public Message Reply => reply;
        public RunProgress Progress => progress;
        public List<Notice> Notices { get; } = [.. reply.Notices ?? []];
        public CitationReader Citations { get; set; } = new([]);

        /// <summary>stop or length; null while the engine has not finished.</summary>
        public string? Finish { get; set; }

        public bool LeaseLost { get => _leaseLost; set => _leaseLost = value; }
        public bool StopRequested { get => _stopRequested; set => _stopRequested = value; }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Run {RunId} ended as {Status} after {Tokens} tokens and {DurationMs} ms, error {ErrorType}")]
        public static partial void Ended(ILogger logger, Guid runId, RunStatus status, int tokens, double durationMs, string? errorType);

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
