using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>How one kind of provider is asked for embeddings.</summary>
internal abstract class EmbeddingProtocol
{
    public static EmbeddingProtocol Of(ProviderType type) => type switch
    {
        ProviderType.Gemini => new Gemini(),
        ProviderType.Ollama => new Ollama(),
        _ => new OpenAi(),
    };

    public abstract string Path(RemoteModelOptions model);

    public abstract JsonObject Write(RemoteModelOptions model, IReadOnlyList<string> texts, bool truncate);

    /// <summary>The vectors in the order of the texts, and the tokens counted; null = the provider does not say.</summary>
    public abstract (IReadOnlyList<float[]> Vectors, int? PromptTokens) Read(JsonElement answer);

    protected static JsonArray Texts(IReadOnlyList<string> texts) => new([.. texts.Select(text => JsonValue.Create(text))]);

    protected static float[] Floats(JsonElement values) => [.. values.EnumerateArray().Select(value => value.GetSingle())];

    private sealed class OpenAi : EmbeddingProtocol
    {
        public override string Path(RemoteModelOptions model) => "embeddings";

        public override JsonObject Write(RemoteModelOptions model, IReadOnlyList<string> texts, bool truncate)
        {
            var body = new JsonObject { ["model"] = model.NameUpstream, ["input"] = Texts(texts), ["encoding_format"] = "base64" };
            if (model.ShortenEmbeddings)
                body["dimensions"] = model.Dimensions;
            return body;
        }

        public override (IReadOnlyList<float[]> Vectors, int? PromptTokens) Read(JsonElement answer) => (
            [.. answer.Items("data").OrderBy(item => item.Number("index") ?? 0).Select(item => Vector(item.GetProperty("embedding")))],
            answer.Field("usage")?.Number("prompt_tokens"));

        // Base64 of little-endian floats, or plainly, from servers that know only that.
        private static float[] Vector(JsonElement embedding) =>
            embedding.ValueKind == JsonValueKind.String ? MemoryMarshal.Cast<byte, float>(embedding.GetBytesFromBase64()).ToArray() : Floats(embedding);
    }

    private sealed class Gemini : EmbeddingProtocol
    {
        public override string Path(RemoteModelOptions model) => $"models/{model.NameUpstream}:batchEmbedContents";

        public override JsonObject Write(RemoteModelOptions model, IReadOnlyList<string> texts, bool truncate) => new()
        {
            ["requests"] = new JsonArray([.. texts.Select(text =>
            {
                var request = new JsonObject
                {
                    ["model"] = $"models/{model.NameUpstream}",
                    ["content"] = new JsonObject { ["parts"] = new JsonArray(new JsonObject { ["text"] = text }) },
                };
                if (model.ShortenEmbeddings)
                    request["outputDimensionality"] = model.Dimensions;
                return request;
            })]),
        };

        public override (IReadOnlyList<float[]> Vectors, int? PromptTokens) Read(JsonElement answer) =>
            ([.. answer.Items("embeddings").Select(item => Floats(item.GetProperty("values")))], answer.Field("usageMetadata")?.Number("promptTokenCount"));
    }

    private sealed class Ollama : EmbeddingProtocol
    {
        public override string Path(RemoteModelOptions model) => "api/embed";

        public override JsonObject Write(RemoteModelOptions model, IReadOnlyList<string> texts, bool truncate)
        {
            var body = new JsonObject { ["model"] = model.NameUpstream, ["input"] = Texts(texts), ["truncate"] = truncate };
            if (model.ShortenEmbeddings)
                body["dimensions"] = model.Dimensions;
            return body;
        }

        public override (IReadOnlyList<float[]> Vectors, int? PromptTokens) Read(JsonElement answer) =>
            ([.. answer.Items("embeddings").Select(Floats)], answer.Number("prompt_eval_count"));
    }
}
