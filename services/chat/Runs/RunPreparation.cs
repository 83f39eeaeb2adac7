using System.Text;
using Fleet.Chat.Clients;
using Fleet.Chat.Sessions;
using Fleet.Contracts.Inference.V1;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Runs;

/// <summary>What the model is asked in one turn: passages from knowledge, the conversation within the budget, the sampling.</summary>
internal sealed class RunPreparation(RunStore store, IRunLog log, InferenceClient inference, KnowledgeClient knowledge, ModelCatalogue models,
    IOptions<RunOptions> options)
{
    /// <summary>Every tokenizer needs about this many tokens at most for ordinary text; used where the model cannot be asked.</summary>
    public static int EstimateTokens(string text) => (Encoding.UTF8.GetByteCount(text) + 2) / 3;

    /// <exception cref="GenerationException">The question does not fit the model.</exception>
    public async Task<GenerateRequest> PrepareAsync(RunTurn turn, string? bearerToken, CancellationToken cancellationToken)
    {
        var config = turn.Reply.Parameters ?? new SessionConfig();
        var question = await store.GetMessageAsync(turn.Run.UserMessageId, cancellationToken).ConfigureAwait(false);
        var history = await store.HistoryAsync(question, cancellationToken).ConfigureAwait(false);
        var passages = config.UseKnowledge == true
            ? await RetrieveAsync(turn, question.Content, config, bearerToken, cancellationToken).ConfigureAwait(false)
            : [];

        var budget = await BudgetAsync(config, cancellationToken).ConfigureAwait(false);
        var builder = new PromptBuilder(TokenCounter(config, history, passages, question.Content, budget));
        var prompt = await builder.BuildAsync(config.SystemPrompt, passages, history, question.Content, budget, cancellationToken).ConfigureAwait(false);
        foreach (var notice in prompt.Notices) await NoticeAsync(turn, notice, cancellationToken).ConfigureAwait(false);

        turn.Citations = new CitationReader(prompt.Passages);
        turn.Citations.Read(turn.Progress.Text);
        return CreateRequest(turn, config, prompt);
    }

    /// <summary>The context less what the reply may take; the reply gets half of it at most.</summary>
    private async Task<int> BudgetAsync(SessionConfig config, CancellationToken cancellationToken)
    {
        var model = await models.FindAsync(config.Model, cancellationToken).ConfigureAwait(false);
        if (model is not { ContextTokens: > 0 }) return options.Value.DefaultPromptTokens;
        return model.ContextTokens - Math.Min(config.MaxTokens ?? options.Value.ReplyReserveTokens, model.ContextTokens / 2);
    }

    private async Task<IReadOnlyList<Citation>> RetrieveAsync(RunTurn turn, string question, SessionConfig config, string? bearerToken, CancellationToken cancellationToken)
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
        await store.SavePassagesAsync(turn.Run.Id, passages, cancellationToken).ConfigureAwait(false);
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

    private static GenerateRequest CreateRequest(RunTurn turn, SessionConfig config, Prompt prompt)
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

    private async Task NoticeAsync(RunTurn turn, Notice notice, CancellationToken cancellationToken)
    {
        turn.Notices.Add(notice);
        await log.AppendAsync(turn.Run.Id, RunEvent.ForNotice(turn.Progress.NextSeq(), notice), cancellationToken).ConfigureAwait(false);
    }
}
