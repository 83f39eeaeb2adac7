using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Embedding;

namespace Fleet.Inference.Tests.Engine.Embedding;

public sealed class TextBatcherTests
{
    private const int Tokens = 64;
    private const int Texts = 8;

    private readonly TextBatcher _batcher = new(Tokens, Texts);

    [Fact]
    public void Next_NothingWaits_IsEmpty()
    {
        Assert.Empty(_batcher.Next());
        Assert.True(_batcher.IsEmpty);
    }

    [Fact]
    public void Next_OneRequest_PacksLongestFirstAndFillsTheRest()
    {
        var request = Add("a", 10, 40, 30, 14, 20);

        Assert.Equal([40, 20], Lengths(_batcher.Next()));
        Assert.Equal([30, 14, 10], Lengths(_batcher.Next()));
        Assert.False(request.HasWaiting);
        Assert.True(_batcher.IsEmpty);
    }

    [Fact]
    public void Next_TextLongerThanABatch_GoesAlone()
    {
        Add("a", 3, 500);
        Add("b", 5);

        Assert.Equal([500], Lengths(_batcher.Next()));
        Assert.Equal([5, 3], Lengths(_batcher.Next()));
    }

    [Theory]
    [InlineData("other")]
    [InlineData("bulk")]
    public void Next_SingleTextBesideABulkRequest_IsInTheNextBatch(string user)
    {
        Add("bulk", [.. Enumerable.Repeat(20, 500)]);
        _batcher.Next();

        var single = Add(user, 12);

        Assert.Contains(_batcher.Next(), work => work.Request == single);
    }

    [Fact]
    public void Next_ManyRequestsOfOneCaller_DoNotPushOutAnother()
    {
        for (var i = 0; i < 50; i++)
            Add("greedy", 30);
        var modest = Add("modest", 30);

        Assert.Contains(_batcher.Next(), work => work.Request == modest);
    }

    [Fact]
    public void Next_TextThatDidNotFit_LeadsTheNextBatch()
    {
        Add("a", [.. Enumerable.Repeat(40, 10)]);
        var large = Add("b", 60);

        Assert.Equal([40], Lengths(_batcher.Next()));
        Assert.Same(large, Assert.Single(_batcher.Next()).Request);
    }

    [Fact]
    public void Next_InteractiveWorkWithoutEnd_BulkStillGetsATextNowAndThen()
    {
        var bulk = Add("bulk", Lane.Batch, [.. Enumerable.Repeat(60, 5)]);
        var batches = 0;
        while (bulk.HasWaiting && batches < 100)
        {
            Add("busy", 64);
            _batcher.Next();
            batches++;
        }

        Assert.Equal(5 * (TextBatcher.BatchesWithoutBulk + 1), batches);
    }

    [Fact]
    public void Next_InteractiveText_GoesBeforeBulkThatCameFirst()
    {
        Add("bulk", Lane.Batch, [.. Enumerable.Repeat(64, 5)]);
        var query = Add("asks", 9);

        Assert.Same(query, Assert.Single(_batcher.Next()).Request);
    }

    [Fact]
    public void Remove_TakesBackWhatHasNotBeenTaken()
    {
        var request = Add("a", 64, 64, 64);
        Add("b", 1);
        _batcher.Next();

        _batcher.Remove(request);

        Assert.Equal([1], Lengths(_batcher.Next()));
        Assert.True(_batcher.IsEmpty);
        Assert.Equal(0, _batcher.WaitingTokens);
    }

    [Fact]
    public void Next_RandomWork_KeepsEveryPromise()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var batcher = new TextBatcher(Tokens, Texts);
            var waiting = new HashSet<(TextRequest, int)>();
            var waited = new Dictionary<TextRequest, int>();
            for (var step = 0; step < 60 || !batcher.IsEmpty; step++)
            {
                if (step < 60 && random.Next(2) == 0)
                {
                    var lane = random.Next(2) == 0 ? Lane.Batch : Lane.Interactive;
                    var request = new TextRequest([.. Enumerable.Range(0, random.Next(1, 20)).Select(_ => new int[random.Next(1, 90)])], new Requester("", $"{random.Next(4)}", lane));
                    batcher.Add(request);
                    waited[request] = 0;
                    waiting.UnionWith(Enumerable.Range(0, request.Texts.Count).Select(index => (request, index)));
                }
                else if (step < 60 && waited.Count > 0 && random.Next(8) == 0)
                {
                    var victim = waited.Keys.ElementAt(random.Next(waited.Count));
                    batcher.Remove(victim);
                    waited.Remove(victim);
                    waiting.RemoveWhere(work => work.Item1 == victim);
                }

                var batch = batcher.Next();

                Assert.Equal(waiting.Count == 0, batch.Count == 0);
                Assert.True(batch.Count <= Texts);
                Assert.True(batch.Count == 1 || batch.Sum(work => work.Tokens.Length) <= Tokens);
                Assert.All(batch, work => Assert.True(waiting.Remove((work.Request, work.Index)), "a text was taken twice or after its removal"));
                Assert.Equal(waiting.Sum(work => (long)work.Item1.Texts[work.Item2].Length), batcher.WaitingTokens);

                // Within a lane a caller is never passed over while the others have had their turn.
                foreach (var request in waited.Keys.ToList())
                    waited[request] = batch.Any(work => work.Request == request) || !request.HasWaiting ? 0 : waited[request] + 1;
                Assert.All(waited.Values, batches => Assert.True(batches <= 200, "a request starved"));
            }

            Assert.Empty(waiting);
        }
    }

    private TextRequest Add(string user, params int[] lengths) => Add(user, Lane.Interactive, lengths);

    private TextRequest Add(string user, Lane lane, params int[] lengths)
    {
        var request = new TextRequest([.. lengths.Select(length => new int[length])], new Requester("", user, lane));
        _batcher.Add(request);
        return request;
    }

    private static int[] Lengths(IReadOnlyList<TextWork> batch) => [.. batch.Select(work => work.Tokens.Length)];
}
