using System.Runtime.InteropServices;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using Fleet.Inference.Models;
using Microsoft.AspNetCore.Http;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class RemoteEmbeddingTests : IAsyncLifetime
{
    private readonly FakeUpstream _upstream = new();

    [Theory]
    [InlineData(nameof(ProviderType.OpenAi), "/base/embeddings", """{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":5}}""")]
    [InlineData(nameof(ProviderType.Gemini), "/base/models/their-model:batchEmbedContents", """{"embeddings":[{"values":[3,4]},{"values":[0,2]}],"usageMetadata":{"promptTokenCount":5}}""")]
    [InlineData(nameof(ProviderType.Ollama), "/base/api/embed", """{"embeddings":[[3,4],[0,2]],"prompt_eval_count":5}""")]
    public async Task Vectors_ComeInOrderWithLengthOneAndTheirOwnSpace(string type, string path, string answer)
    {
        _upstream.Answer = context => context.Response.WriteAsync(answer);
        var embedder = Embedder(type);

        var batch = await embedder.EmbedAsync(["가", "나"], truncate: false, Requester.Unknown, CancellationToken.None);

        Assert.Equal([0.6f, 0.8f], batch.Embeddings[0].Values);
        Assert.Equal([0f, 1f], batch.Embeddings[1].Values);
        Assert.Equal((5, 2, "up/m:2"), (batch.PromptTokens, embedder.Dimensions, embedder.Space));
        Assert.Equal(path, _upstream.Asked.Single().Path);
    }

    [Fact]
    public async Task Base64_IsRead()
    {
        var vector = Convert.ToBase64String(MemoryMarshal.AsBytes<float>([0f, 5f]));
        _upstream.Answer = context => context.Response.WriteAsync($$"""{"data":[{"index":0,"embedding":"{{vector}}"}]}""");

        var batch = await Embedder(nameof(ProviderType.OpenAi)).EmbedAsync(["x"], truncate: false, Requester.Unknown, CancellationToken.None);

        Assert.Equal([0f, 1f], batch.Embeddings.Single().Values);
    }

    [Fact]
    public async Task ManyTexts_AreAskedForInParts()
    {
        _upstream.Answer = context => context.Response.WriteAsync(
            $$"""{"data":[{{string.Join(',', Enumerable.Range(0, _upstream.LastBody["input"]!.AsArray().Count).Select(i => $$"""{"index":{{i}},"embedding":[1,0]}"""))}}]}""");

        var batch = await Embedder(nameof(ProviderType.OpenAi)).EmbedAsync([.. Enumerable.Repeat("x", 200)], truncate: false, Requester.Unknown, CancellationToken.None);

        Assert.Equal((200, 3), (batch.Embeddings.Count, _upstream.Asked.Count));
    }

    [Theory]
    [InlineData("""{"data":[{"index":0,"embedding":[1,2,3]}]}""", "dimensions")]
    [InlineData("""{"data":[]}""", "0 vectors")]
    [InlineData("""{"data":[{"index":0,"embedding":[0,0]}]}""", "no direction")]
    [InlineData("""{"data":[{"index":0,"embedding":"!"}]}""", "cannot be read")]
    [InlineData("""{"data":[{"index":0}]}""", "cannot be read")]
    [InlineData("<html>", "not JSON")]
    public async Task NonsensicalVectors_AreNeverStored(string answer, string says)
    {
        _upstream.Answer = context => context.Response.WriteAsync(answer);

        var exception = await Assert.ThrowsAsync<EngineException>(() => Embedder(nameof(ProviderType.OpenAi)).EmbedAsync(["x"], false, Requester.Unknown, CancellationToken.None));

        Assert.Equal(EngineError.Unavailable, exception.Error);
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}]}""", 0.1, 0.9)]
    [InlineData("""{"results":[{"index":0,"relevance_score":0},{"index":1,"relevance_score":-800}]}""", 0.5, 0)]
    public async Task Rerank_ScoresInOrderBetweenZeroAndOne(string answer, double first, double second)
    {
        _upstream.Answer = context => context.Response.WriteAsync(answer);
        var reranker = _upstream.Engine<ITextReranker>(_upstream.Provider(ProviderType.OpenAi, model: model => model.Kind = ModelKind.Reranker));

        var batch = await reranker.RerankAsync("q", ["a", "b"], false, Requester.Unknown, CancellationToken.None);

        Assert.Equal([first, second], batch.Scores);
        Assert.Equal("/base/rerank", _upstream.Asked.Single().Path);
    }

    public ValueTask InitializeAsync() => _upstream.InitializeAsync();

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    private ITextEmbedder Embedder(string type) => _upstream.Engine<ITextEmbedder>(_upstream.Provider(Enum.Parse<ProviderType>(type), model: model =>
    {
        model.Kind = ModelKind.Embedding;
        model.Dimensions = 2;
    }));
}
