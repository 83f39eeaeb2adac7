using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Models;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using ModelKind = Fleet.Contracts.Inference.V1.ModelKind;
using ModelStatistics = Fleet.Contracts.Inference.V1.ModelStatistics;

namespace Fleet.Inference.Tests.Api;

/// <summary>Embedding and reranking over the wire, with a cross-encoder installed.</summary>
public sealed class EmbeddingServiceTests : IClassFixture<InferenceFixture>
{
    private static readonly string TooLong = string.Join(' ', Enumerable.Repeat("cat", 500));

    private readonly InferenceFixture _fixture;

    public EmbeddingServiceTests(InferenceFixture fixture)
    {
        Assert.SkipUnless(Directory.Exists(new NativeOptions().NativeLibraryDirectory), "llama.cpp is not installed; ./fleet test installs it.");
        _fixture = fixture;
        var path = Path.Combine(fixture.ModelsDirectory, "tiny-reranker.gguf");
        if (File.Exists(path))
            return;

        BertModel.TinyReranker.Save(path);
        fixture.Service.Services.GetRequiredService<ModelCatalogue>().Rescan();
    }

    [Fact]
    public async Task Rerank_NoModelNamed_UsesTheInstalledOneAndCounts()
    {
        var before = await StatisticsAsync("tiny-reranker");
        var request = new RerankRequest { Query = "the cat", Documents = { "hello world", "the cat and the dog", "한국어 문서" } };

        var response = await _fixture.Client.RerankAsync(request);
        var again = await _fixture.Client.RerankAsync(request);

        Assert.Equal("tiny-reranker", response.Model);
        Assert.Equal(3, response.Scores.Count);
        Assert.All(response.Scores, score => Assert.InRange(score, 0, 1));
        Assert.Equal(response.Scores, again.Scores);
        Assert.True(response.PromptTokens > 0);
        var after = await StatisticsAsync("tiny-reranker");
        Assert.Equal((before.Requests + 2, before.PromptTokens + 2 * response.PromptTokens), (after.Requests, after.PromptTokens));
    }

    [Fact]
    public async Task Rerank_DocumentTooLong_IsInvalidArgumentNamingItOrCut()
    {
        var before = await StatisticsAsync("tiny-reranker");
        var request = new RerankRequest { Query = "the cat", Documents = { "a", TooLong } };

        var refused = await StatusAsync(async () => await _fixture.Client.RerankAsync(request));
        request.Truncate = true;
        var cut = await _fixture.Client.RerankAsync(request);

        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("documents[1]", refused.Detail, StringComparison.Ordinal);
        Assert.Equal(2, cut.Scores.Count);
        Assert.Equal(before.Failures + 1, (await StatisticsAsync("tiny-reranker")).Failures);
    }

    [Theory]
    [InlineData("", "document", "query")]
    [InlineData("query", "", "documents")]
    [InlineData("query", null, "documents")]
    public async Task Rerank_EmptyParts_AreInvalidArgument(string query, string? document, string field)
    {
        var request = new RerankRequest { Query = query };
        if (document is not null)
            request.Documents.Add(document);

        var status = await StatusAsync(async () => await _fixture.Client.RerankAsync(request));

        Assert.Equal(StatusCode.InvalidArgument, status.StatusCode);
        Assert.Contains(field, status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rerank_TooManyDocumentsOrQueryTooLong_IsInvalidArgument()
    {
        var many = new RerankRequest { Query = "a" };
        many.Documents.AddRange(Enumerable.Repeat("b", 1001));

        Assert.Equal(StatusCode.InvalidArgument, (await StatusAsync(async () => await _fixture.Client.RerankAsync(many))).StatusCode);
        var query = await StatusAsync(async () => await _fixture.Client.RerankAsync(new RerankRequest { Query = TooLong, Documents = { "b" }, Truncate = true }));
        Assert.Equal(StatusCode.InvalidArgument, query.StatusCode);
        Assert.Contains("query has 500 tokens", query.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tiny-llama", StatusCode.FailedPrecondition)]
    [InlineData("tiny-bert", StatusCode.FailedPrecondition)]
    [InlineData("nothing", StatusCode.NotFound)]
    public async Task Rerank_ModelOfAnotherKind_IsRefused(string model, StatusCode expected) =>
        Assert.Equal(expected, (await StatusAsync(async () => await _fixture.Client.RerankAsync(new RerankRequest { Model = model, Query = "a", Documents = { "b" } }))).StatusCode);

    [Fact]
    public async Task Rerank_TheModelIsListedAsAReranker() =>
        Assert.Equal(ModelKind.Reranker, (await _fixture.Client.ListModelsAsync(new ListModelsRequest())).Models.Single(model => model.Id == "tiny-reranker").Kind);

    [Fact]
    public async Task Embed_TextTooLong_IsInvalidArgumentNamingItOrCut()
    {
        var request = new EmbedRequest { Model = "tiny-bert", Texts = { "hello", TooLong } };

        var refused = await StatusAsync(async () => await _fixture.Client.EmbedAsync(request));
        request.Truncate = true;
        var cut = await _fixture.Client.EmbedAsync(request);

        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("texts[1] has 502 tokens; the model reads at most 128", refused.Detail, StringComparison.Ordinal);
        Assert.Equal([false, true], cut.Embeddings.Select(embedding => embedding.Truncated));
    }

    [Fact]
    public async Task Embed_NoTextsOrTooMany_IsInvalidArgument()
    {
        var many = new EmbedRequest { Model = "tiny-bert" };
        many.Texts.AddRange(Enumerable.Repeat("a", 2049));

        Assert.Equal(StatusCode.InvalidArgument, (await StatusAsync(async () => await _fixture.Client.EmbedAsync(new EmbedRequest { Model = "tiny-bert" }))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await StatusAsync(async () => await _fixture.Client.EmbedAsync(many))).StatusCode);
    }

    [Fact]
    public async Task Embed_QueryBesideABulkCall_IsAnsweredWhileTheBulkRuns()
    {
        var bulk = new EmbedRequest { Model = "tiny-bert", Caller = new Caller { UserId = "u", Lane = Lane.Embeddings } };
        bulk.Texts.AddRange(Enumerable.Repeat("the cat and the dog run to the moon and the sun is in the tree my name is world hello", 2048));
        await _fixture.Client.EmbedAsync(new EmbedRequest { Model = "tiny-bert", Texts = { "warm" } });

        using var running = _fixture.Client.EmbedAsync(bulk);
        await Testing.Eventually.TrueAsync(async () => running.ResponseAsync.IsCompleted || (await StatisticsAsync("tiny-bert")).Running > 0);
        var query = await _fixture.Client.EmbedAsync(new EmbedRequest { Model = "tiny-bert", Texts = { "hello" }, Caller = new Caller { UserId = "u", Lane = Lane.Interactive } });

        Assert.Single(query.Embeddings);
        Assert.Equal(2048, (await running).Embeddings.Count);
    }

    [Fact]
    public async Task Embed_CallerGone_LeavesNothingRunning()
    {
        var bulk = new EmbedRequest { Model = "tiny-bert" };
        bulk.Texts.AddRange(Enumerable.Repeat("the cat and the dog run to the moon and the sun is in the tree", 2048));
        using var gone = new CancellationTokenSource();

        var call = _fixture.Client.EmbedAsync(bulk, cancellationToken: gone.Token);
        await gone.CancelAsync();
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await call);

        Assert.Equal(StatusCode.Cancelled, exception.StatusCode);
        await Testing.Eventually.TrueAsync(async () => await StatisticsAsync("tiny-bert") is { Running: 0, Queued: 0 });
    }

    [Fact]
    public async Task Tokenize_Reranker_CountsItsTokens() =>
        Assert.Equal(3, (await _fixture.Client.TokenizeAsync(new TokenizeRequest { Model = "tiny-reranker", Text = "the cat run" })).Count);

    private async Task<ModelStatistics> StatisticsAsync(string model) =>
        (await _fixture.Client.ListModelsAsync(new ListModelsRequest())).Models.Single(listed => listed.Id == model).Statistics;

    private static async Task<Status> StatusAsync(Func<Task> call) => (await Assert.ThrowsAsync<RpcException>(call)).Status;
}
