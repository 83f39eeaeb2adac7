using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

[Collection(nameof(NativeTests))]
public sealed class LlamaEmbeddingTests(NativeFixture native)
{
    // The encoder's GELU is a table over half-precision inputs in llama.cpp: a difference of 1e-7 before it can be one of 1e-4 after it.
    // Nothing else of the sort is in the way: the decoder, which has no GELU, keeps to 1e-6.
    private const double EncoderTolerance = 5e-5;
    private const double DecoderTolerance = 1e-6;

    private static readonly string[] Texts =
    [
        "hello world", "the cat run", "my name is dog", "moon and sun", "a", "running to the tree!", "Unknown Ωmega 안녕", "hello hello hello", "tree", "the the the",
        "대한민국 서울의 날씨는 맑음", "   ", "\n\t", "🙂🙂", "\0", "the cat and the dog run to the moon and the sun is in the tree my name is world hello",
    ];

    [Theory]
    [InlineData("tiny-bert", EncoderTolerance)]
    [InlineData("tiny-decoder-embedding", DecoderTolerance)]
    public async Task Embed_ManyTexts_EqualsOneByOneAndHasLengthOne(string model, double tolerance)
    {
        await using var embedder = native.Embedder(model, options => options.BatchTokens = 512);

        var together = await EmbedAsync(embedder, [.. Texts, .. Texts, .. Texts]);

        for (var i = 0; i < Texts.Length; i++)
        {
            var alone = (await EmbedAsync(embedder, Texts[i]))[0];
            AssertClose(alone, together[i], tolerance);
            AssertClose(alone, together[i + Texts.Length], tolerance);
            Assert.Equal(1, together[i].Sum(value => (double)value * value), 5);
        }

        Assert.Equal(64, embedder.Dimensions);
        Assert.Equal($"{model}:64", embedder.Space);
        Assert.NotEqual(together[0], together[1]);
    }

    [Fact]
    public async Task Embed_EqualsTheFormula()
    {
        await using var embedder = native.Embedder();
        var reference = new BertReference(BertModel.Tiny);

        foreach (var text in Texts)
        {
            var expected = reference.Embed(embedder.Tokenize(text).Ids);

            // llama.cpp looks GELU up in a table of half precision.
            AssertClose([.. expected.Select(value => (float)value)], (await EmbedAsync(embedder, text))[0], 2e-3);
        }
    }

    [Fact]
    public async Task Embed_TextLongerThanABatch_IsComputedWhole()
    {
        // 64 tokens are packed together, 128 are what the model reads.
        await using var embedder = native.Embedder();
        var text = string.Join(' ', Enumerable.Repeat("cat dog", 60));
        var expected = new BertReference(BertModel.Tiny).Embed(embedder.Tokenize(text).Ids);

        var vectors = await EmbedAsync(embedder, "hello", text, "world", text);

        AssertClose([.. expected.Select(value => (float)value)], vectors[1], 5e-3);
        Assert.Equal(vectors[1], vectors[3]);
    }

    [Theory]
    [InlineData("tiny-bert", 126)]
    [InlineData("tiny-decoder-embedding", 2046)]
    public async Task Embed_AtTheLimit_IsTakenOneMoreIsRefusedOrCut(string model, int words)
    {
        await using var embedder = native.Embedder(model);
        var (fits, tooLong) = (Words(words), Words(words + 1));
        var limit = embedder.MaxTokens;
        Assert.Equal((limit, limit + 1), (embedder.Tokenize(fits).Count, embedder.Tokenize(tooLong).Count));

        var whole = await embedder.EmbedAsync([fits], truncate: false, Requester.Unknown, CancellationToken.None);
        var exception = await Assert.ThrowsAsync<EngineException>(() => embedder.EmbedAsync(["hello", tooLong], truncate: false, Requester.Unknown, CancellationToken.None));
        var cut = await embedder.EmbedAsync(["hello", tooLong], truncate: true, Requester.Unknown, CancellationToken.None);

        Assert.False(whole.Embeddings[0].Truncated);
        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Equal($"texts[1] has {limit + 1} tokens; the model reads at most {limit}.", exception.Message);
        Assert.Equal([false, true], cut.Embeddings.Select(embedding => embedding.Truncated));
        Assert.Equal(limit + 3, cut.PromptTokens);

        // The cut text is the one that just fits: its last token, the separator, was kept.
        Assert.Equal(whole.Embeddings[0].Values, cut.Embeddings[1].Values);

        static string Words(int count) => string.Join(' ', Enumerable.Repeat("cat", count));
    }

    [Fact]
    public async Task Embed_HostileText_IsRefusedOrCutAndTheEngineLives()
    {
        await using var embedder = native.Embedder();
        string[] hostile = [new string('z', 1_000_000), new string(' ', 1_000_000), string.Concat(Enumerable.Repeat("한", 200_000)), "\ud800", "[CLS] [SEP] [PAD] [MASK]", new string('\uffff', 10_000)];

        var cut = await embedder.EmbedAsync(hostile, truncate: true, Requester.Unknown, CancellationToken.None);

        Assert.All(cut.Embeddings, embedding => Assert.All(embedding.Values, value => Assert.True(float.IsFinite(value))));
        Assert.NotEmpty(await EmbedAsync(embedder, "hello"));
    }

    [Fact]
    public async Task Tokenize_ControlTokensInText_StayText()
    {
        await using var embedder = native.Embedder();

        var tokens = embedder.Tokenize("[SEP]").Ids;

        Assert.DoesNotContain(3, tokens.Skip(1).SkipLast(1));
    }

    [Fact]
    public async Task Embed_ManyCallersAtOnce_AllGetTheirOwnVectors()
    {
        await using var embedder = native.Embedder();
        var expected = await EmbedAsync(embedder, Texts);

        var results = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => embedder.EmbedAsync(
            [Texts[i % Texts.Length], Texts[(i + 1) % Texts.Length]], truncate: false, new Requester("", $"{i % 5}", (Lane)(i % 2)), CancellationToken.None)));

        for (var i = 0; i < results.Length; i++)
        {
            AssertClose(expected[i % Texts.Length], results[i].Embeddings[0].Values, EncoderTolerance);
            AssertClose(expected[(i + 1) % Texts.Length], results[i].Embeddings[1].Values, EncoderTolerance);
        }

        Assert.Equal((0, 0), (embedder.Activity.Running, embedder.Activity.Queued));
    }

    [Fact]
    public async Task Dispose_WhileBusy_EndsCallersAsUnavailable()
    {
        var embedder = native.Embedder();
        var callers = Enumerable.Range(0, 8).Select(_ => embedder.EmbedAsync([.. Enumerable.Repeat("the cat run to the tree", 2000)], truncate: false, Requester.Unknown, CancellationToken.None)).ToList();

        await embedder.DisposeAsync();

        foreach (var caller in callers)
            Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => caller)).Error);
    }

    [Fact]
    public void Load_ModelThatPoolsNothing_IsRefusedWithTheReason()
    {
        (BertModel.Tiny with { Pooling = null }).Save(native.PathOf("no-pooling"));

        var exception = Assert.Throws<EngineException>(() => native.Embedder("no-pooling"));

        Assert.Equal(EngineError.NotSupported, exception.Error);
        Assert.Contains("pooling_type", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2u)]
    [InlineData(3u)]
    public async Task Embed_FirstOrLastTokenPooling_DoesNotDependOnCompany(uint pooling)
    {
        (BertModel.Tiny with { Pooling = pooling }).Save(native.PathOf($"pooling-{pooling}"));
        await using var embedder = native.Embedder($"pooling-{pooling}");

        var together = await EmbedAsync(embedder, Texts);

        for (var i = 0; i < Texts.Length; i++)
            AssertClose((await EmbedAsync(embedder, Texts[i]))[0], together[i], EncoderTolerance);
    }

    private static async Task<IReadOnlyList<float[]>> EmbedAsync(LlamaEmbedder embedder, params string[] texts) =>
        [.. (await embedder.EmbedAsync(texts, truncate: false, Requester.Unknown, CancellationToken.None)).Embeddings.Select(embedding => embedding.Values)];

    // Relative to the vectors' length, which is one.
    private static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        var distance = Math.Sqrt(expected.Zip(actual).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2)));
        Assert.True(distance <= tolerance, $"The vectors are {distance:g3} apart.");
    }
}
