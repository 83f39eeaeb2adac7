using System.Numerics;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.NGram;

/// <summary>
/// The embedding model that is always there: hashed words and character n-grams. It knows no synonyms, but inflected, compound and
/// misspelt forms meet, in Korean as in English, and it costs microseconds.
/// Anything that changes a vector changes the space and needs a new <see cref="SpaceName"/> (the golden test guards it).
/// </summary>
internal sealed class NGramEmbedder : ITextEmbedder
{
    public const string Id = "fleet-ngram-embedding";
    public const string SpaceName = "fleet-ngram-v1";
    public const int Width = 512;

    public EngineActivity Activity => EngineActivity.Idle;

    public int Dimensions => Width;

    public string Space => SpaceName;

    public TokenList Tokenize(string text) => new([], ApproximateTokens.Count(text));

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([], messages.Sum(message => ApproximateTokens.Count(message.Content)));

    public Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        var embeddings = new TextEmbedding[texts.Count];
        var tokens = 0;
        for (var i = 0; i < texts.Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            embeddings[i] = new TextEmbedding(Embed(texts[i]), Truncated: false);
            tokens += ApproximateTokens.Count(texts[i]);
        }

        return Task.FromResult(new EmbeddingBatch(embeddings, tokens));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public static float[] Embed(string text)
    {
        var vector = new float[Width];
        foreach (var (feature, weight) in NGramFeatures.Of(text))
        {
            // Two buckets per feature: a collision in one is outvoted by the other.
            var hash = Hash(feature);
            AddSigned(vector, (uint)hash, weight);
            AddSigned(vector, (uint)(hash >> 32), weight);
        }

        Normalize(vector);
        return vector;
    }

    private static void AddSigned(float[] vector, uint hash, float weight) => vector[hash % Width] += (hash & 0x8000_0000) == 0 ? weight : -weight;

    private static void Normalize(float[] vector)
    {
        var squares = 0d;
        foreach (var value in vector)
            squares += (double)value * value;

        // Text without a single letter or digit still needs a direction.
        if (squares == 0)
        {
            vector[0] = 1;
            return;
        }

        var scale = (float)(1 / Math.Sqrt(squares));
        for (var i = 0; i < vector.Length; i++)
            vector[i] *= scale;
    }

    // FNV-1a over UTF-16 units with a final mix: written out because string.GetHashCode differs per process.
    private static ulong Hash(string feature)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in feature)
        {
            hash = (hash ^ (byte)c) * 1099511628211UL;
            hash = (hash ^ (byte)(c >> 8)) * 1099511628211UL;
        }

        hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDUL;
        return BitOperations.RotateLeft(hash ^ (hash >> 29), 17);
    }
}
