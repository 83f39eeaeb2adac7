using System.Text.Json;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Providers;

/// <summary>An embedding model that runs at a provider. What is too long for it is its refusal: it alone can count.</summary>
internal sealed class RemoteEmbedder(string id, EmbeddingProtocol protocol, RemoteModelOptions model, UpstreamClient upstream) : ITextEmbedder
{
    // No provider takes more at a time than Gemini's hundred without looking at their sizes.
    private const int TextsPerCall = 96;

    private int _running;

    public EngineActivity Activity => new(Volatile.Read(ref _running), 0, []);

    public int Dimensions => model.Dimensions;

    public string Space => $"{id}:{model.Dimensions}";

    public TokenList Tokenize(string text) => new([], ApproximateTokens.Count(text));

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([], messages.Sum(message => ApproximateTokens.Count(message.Content)));

    public async Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _running);
        try
        {
            var embeddings = new List<TextEmbedding>(texts.Count);
            var tokens = 0;
            foreach (var chunk in texts.Chunk(TextsPerCall))
            {
                using var answer = await upstream.AskAsync(protocol.Path(model), protocol.Write(model, chunk, truncate), cancellationToken);
                var (vectors, counted) = Read(answer.RootElement);
                if (vectors.Count != chunk.Length)
                    throw upstream.Broken($"{vectors.Count} vectors came for {chunk.Length} texts");

                embeddings.AddRange(vectors.Select(vector => new TextEmbedding(OfLengthOne(vector), Truncated: false)));
                tokens += counted ?? chunk.Sum(ApproximateTokens.Count);
            }

            return new EmbeddingBatch(embeddings, tokens);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private (IReadOnlyList<float[]> Vectors, int? PromptTokens) Read(JsonElement answer)
    {
        try
        {
            return protocol.Read(answer);
        }
        catch (Exception exception) when (exception is InvalidOperationException or FormatException or KeyNotFoundException or ArgumentException)
        {
            throw upstream.Broken("the embeddings cannot be read");
        }
    }

    private float[] OfLengthOne(float[] vector)
    {
        // Stored vectors of another width would be incomparable, silently.
        if (vector.Length != model.Dimensions)
            throw upstream.Broken($"its vectors have {vector.Length} dimensions, {model.Dimensions} are configured");

        var length = Math.Sqrt(vector.Sum(value => (double)value * value));
        if (!double.IsFinite(length) || length == 0)
            throw upstream.Broken("a vector has no direction");
        return Array.ConvertAll(vector, value => (float)(value / length));
    }
}
