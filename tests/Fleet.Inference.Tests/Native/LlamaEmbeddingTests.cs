using Fleet.Inference.Engine;

namespace Fleet.Inference.Tests.Native;

[Collection(nameof(NativeTests))]
public sealed class LlamaEmbeddingTests(NativeFixture native)
{
    private static readonly string[] Texts =
    [
        "hello world", "the cat run", "my name is dog", "moon and sun", "a", "running to the tree!", "Unknown Ωmega 안녕", "hello hello hello", "tree", "the the the",
    ];

    [Fact]
    public async Task Embed_ManyTexts_EqualsOneByOneAndHasLengthOne()
    {
        await using var embedder = native.Embedder();

        var together = await embedder.EmbedAsync(Texts, truncate: false, Requester.Unknown, CancellationToken.None);

        for (var i = 0; i < Texts.Length; i++)
        {
            var alone = await embedder.EmbedAsync([Texts[i]], truncate: false, Requester.Unknown, CancellationToken.None);
            Assert.All(alone.Embeddings[0].Values.Zip(together.Embeddings[i].Values), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
            Assert.Equal(1, together.Embeddings[i].Values.Sum(value => (double)value * value), 5);
        }

        Assert.Equal(64, embedder.Dimensions);
        Assert.NotEqual(together.Embeddings[0].Values, together.Embeddings[1].Values);
    }

    [Fact]
    public async Task Embed_TextLongerThanContext_IsRefusedOrCut()
    {
        await using var embedder = native.Embedder();
        var text = string.Join(' ', Enumerable.Repeat("cat", 500));

        var exception = await Assert.ThrowsAsync<EngineException>(() => embedder.EmbedAsync(["hello", text], truncate: false, Requester.Unknown, CancellationToken.None));
        var cut = await embedder.EmbedAsync(["hello", text], truncate: true, Requester.Unknown, CancellationToken.None);

        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Contains("texts[1]", exception.Message, StringComparison.Ordinal);
        Assert.Equal([false, true], cut.Embeddings.Select(embedding => embedding.Truncated));
    }

    [Fact]
    public async Task Embed_ManyCallersAtOnce_AllGetTheirOwnVectors()
    {
        await using var embedder = native.Embedder();
        var expected = await embedder.EmbedAsync(Texts, truncate: false, Requester.Unknown, CancellationToken.None);

        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => embedder.EmbedAsync([Texts[i % Texts.Length]], truncate: false, Requester.Unknown, CancellationToken.None)));

        for (var i = 0; i < results.Length; i++)
            Assert.All(results[i].Embeddings[0].Values.Zip(expected.Embeddings[i % Texts.Length].Values), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
    }
}
