using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Providers;

/// <summary>A reranking model behind the rerank route that llama.cpp, vLLM and others share.</summary>
internal sealed class RemoteReranker(RemoteModelOptions model, UpstreamClient upstream) : ITextReranker
{
    private int _running;

    public EngineActivity Activity => new(Volatile.Read(ref _running), 0, []);

    public TokenList Tokenize(string text) => new([], ApproximateTokens.Count(text));

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([], messages.Sum(message => ApproximateTokens.Count(message.Content)));

    public async Task<RerankBatch> RerankAsync(string query, IReadOnlyList<string> documents, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _running);
        try
        {
            var body = new JsonObject
            {
                ["model"] = model.NameUpstream,
                ["query"] = query,
                ["documents"] = new JsonArray([.. documents.Select(document => JsonValue.Create(document))]),
                ["top_n"] = documents.Count,
            };
            using var answer = await upstream.AskAsync("rerank", body, cancellationToken);
            return new RerankBatch(Scores(answer.RootElement, documents.Count), answer.RootElement.Field("usage")?.Number("prompt_tokens")
                ?? documents.Sum(ApproximateTokens.Count) + documents.Count * ApproximateTokens.Count(query));
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private double[] Scores(JsonElement answer, int count)
    {
        var scores = new double?[count];
        foreach (var result in answer.Items("results"))
        {
            if (result.Number("index") is { } index && index < count && result.Field("relevance_score") is { ValueKind: JsonValueKind.Number } score)
                scores[index] = score.GetDouble();
        }

        if (scores.Any(score => score is not { } value || !double.IsFinite(value)))
            throw upstream.Broken("a document has no score");

        // Some servers give the model's logits as they are.
        return scores.Any(score => score is < 0 or > 1)
            ? [.. scores.Select(score => 1 / (1 + Math.Exp(-score!.Value)))]
            : [.. scores.Select(score => score!.Value)];
    }
}
