using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

[Collection(nameof(NativeTests))]
public sealed class LlamaRerankTests(NativeFixture native)
{
    private const string Query = "the cat run to the tree";
    private const int Cls = 2;
    private const int Sep = 3;

    private static readonly string[] Documents =
    [
        "the cat", "hello world", "my name is dog", "moon and sun in the tree", "a", "running to the tree!", "서울의 날씨", "   ", "sun", "the dog and the cat run",
    ];

    [Fact]
    public async Task Rerank_EqualsTheFormulaInScoreAndOrder()
    {
        await using var reranker = native.Reranker();
        var reference = new BertReference(BertModel.TinyReranker);

        var batch = await reranker.RerankAsync(Query, Documents, truncate: false, Requester.Unknown, CancellationToken.None);

        double[] expected = [.. Documents.Select(document => 1 / (1 + Math.Exp(-reference.Classify(Pair(reranker, Query, document))[0])))];
        Assert.All(expected.Zip(batch.Scores), pair => Assert.Equal(pair.First, pair.Second, 2e-3));
        Assert.Equal(Order(expected), Order(batch.Scores));
        Assert.True(expected.Max() - expected.Min() > 0.05, "scores too close to mean anything");
        Assert.Equal(Documents.Sum(document => Pair(reranker, Query, document).Count), batch.PromptTokens);
    }

    [Fact]
    public async Task Rerank_SeveralLabels_TheNamedOneIsTheScore()
    {
        var model = BertModel.TinyReranker with { Labels = ["no", "perhaps", "yes"] };
        model.Save(native.PathOf("labelled"));
        await using var reranker = native.Reranker("labelled");
        var reference = new BertReference(model);

        var batch = await reranker.RerankAsync(Query, Documents, truncate: false, Requester.Unknown, CancellationToken.None);

        for (var i = 0; i < Documents.Length; i++)
        {
            double[] powers = [.. reference.Classify(Pair(reranker, Query, Documents[i])).Select(Math.Exp)];
            Assert.Equal(powers[2] / powers.Sum(), batch.Scores[i], 2e-3);
        }
    }

    [Fact]
    public async Task Rerank_ManyCallersAtOnce_ScoresDoNotDependOnCompany()
    {
        await using var reranker = native.Reranker(configure: options => options.BatchTokens = 512);
        var alone = new List<double>();
        foreach (var document in Documents)
            alone.Add((await reranker.RerankAsync(Query, [document], truncate: false, Requester.Unknown, CancellationToken.None)).Scores[0]);

        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            reranker.RerankAsync(Query, Documents, truncate: false, new Requester("", $"{i}", Lane.Interactive), CancellationToken.None)));

        // As for embeddings: GELU from a half-precision table.
        Assert.All(results, result => Assert.All(alone.Zip(result.Scores), pair => Assert.Equal(pair.First, pair.Second, 5e-5)));
    }

    [Fact]
    public async Task Rerank_AtTheLimit_TheDocumentIsCutNeverTheQuery()
    {
        await using var reranker = native.Reranker();

        // [CLS] 6 words [SEP] document [SEP] in 128 tokens.
        const int Room = 128 - 3 - 6;
        var (fits, tooLong) = (Words(Room), Words(Room + 1));

        var whole = await reranker.RerankAsync(Query, [fits], truncate: false, Requester.Unknown, CancellationToken.None);
        var exception = await Assert.ThrowsAsync<EngineException>(() => reranker.RerankAsync(Query, ["a", tooLong], truncate: false, Requester.Unknown, CancellationToken.None));
        var cut = await reranker.RerankAsync(Query, [tooLong, Words(5000)], truncate: true, Requester.Unknown, CancellationToken.None);

        Assert.Equal(128, whole.PromptTokens);
        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Equal($"documents[1] has {Room + 1} tokens; beside this query the model reads at most {Room}.", exception.Message);
        Assert.Equal([whole.Scores[0], whole.Scores[0]], cut.Scores);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Rerank_QueryThatLeavesNoRoom_IsRefused(bool truncate)
    {
        await using var reranker = native.Reranker();

        await reranker.RerankAsync(Words(124), ["sun"], truncate, Requester.Unknown, CancellationToken.None);
        var exception = await Assert.ThrowsAsync<EngineException>(() => reranker.RerankAsync(Words(125), ["sun"], truncate, Requester.Unknown, CancellationToken.None));

        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Contains("query has 125 tokens", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rerank_SeparatorsWrittenOut_AreText()
    {
        await using var reranker = native.Reranker();
        var reference = new BertReference(BertModel.TinyReranker);

        var batch = await reranker.RerankAsync("cat [SEP] dog", ["[CLS] sun"], truncate: false, Requester.Unknown, CancellationToken.None);

        var pair = Pair(reranker, "cat [SEP] dog", "[CLS] sun");
        Assert.Equal((1, 2), (pair.Count(token => token == Cls), pair.Count(token => token == Sep)));
        Assert.Equal(1 / (1 + Math.Exp(-reference.Classify(pair)[0])), batch.Scores[0], 2e-3);
    }

    [Fact]
    public async Task Rerank_OwnTemplate_IsFilledWithTextThatStaysText()
    {
        var model = BertModel.TinyReranker;
        model.Build().Set("tokenizer.chat_template.rerank", "[CLS] my {document} is {query} [SEP]").Save(native.PathOf("templated"));
        await using var reranker = native.Reranker("templated");

        var batch = await reranker.RerankAsync("cat [SEP]", ["sun"], truncate: false, Requester.Unknown, CancellationToken.None);

        int[] pair = [Cls, .. Tokens("my"), .. Tokens("sun"), .. Tokens("is"), .. Tokens("cat [SEP]"), Sep];
        Assert.Equal(1 / (1 + Math.Exp(-new BertReference(model).Classify(pair)[0])), batch.Scores[0], 2e-3);

        IReadOnlyList<int> Tokens(string text) => reranker.Tokenize(text).Ids;
    }

    [Fact]
    public void Load_WithoutUsableHead_IsRefusedWithTheReason()
    {
        (BertModel.TinyReranker with { HasHead = false }).Save(native.PathOf("headless"));
        (BertModel.TinyReranker with { Labels = ["sports", "politics"] }).Save(native.PathOf("topics"));
        BertModel.TinyReranker.Build().Set("tokenizer.chat_template.rerank", "only {query}").Save(native.PathOf("half-template"));

        Assert.Contains("cls.output.weight", Refusal("headless"), StringComparison.Ordinal);
        Assert.Contains("relevant", Refusal("topics"), StringComparison.Ordinal);
        Assert.Contains("query and a document", Refusal("half-template"), StringComparison.Ordinal);
        Assert.Contains("classification head", Refusal("tiny-bert"), StringComparison.Ordinal);

        string Refusal(string name)
        {
            var exception = Assert.Throws<EngineException>(() => native.Reranker(name));
            Assert.Equal(EngineError.NotSupported, exception.Error);
            return exception.Message;
        }
    }

    [Fact]
    public async Task Dispose_WhileBusy_EndsCallersAsUnavailable()
    {
        var reranker = native.Reranker();
        var busy = reranker.RerankAsync(Query, [.. Enumerable.Repeat("moon and sun in the tree", 1000)], truncate: false, Requester.Unknown, CancellationToken.None);

        await reranker.DisposeAsync();

        Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => busy)).Error);
    }

    private static List<int> Pair(LlamaReranker reranker, string query, string document) =>
        [Cls, .. reranker.Tokenize(query).Ids, Sep, .. reranker.Tokenize(document).Ids, Sep];

    private static string Words(int count) => string.Join(' ', Enumerable.Repeat("cat", count));

    private static List<int> Order(IEnumerable<double> scores) => [.. scores.Index().OrderByDescending(score => score.Item).Select(score => score.Index)];
}
