using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// L6: 32 conversations of several turns on 8 sequences. Each turn sends the whole conversation again; whoever still knows it, or can
/// bring it back, answers sooner.
/// </summary>
internal sealed class TurnsRow : Row
{
    private const int Conversations = 32;
    private const int Sequences = 8;
    private const int SlotTokens = 1024;
    private const int FirstPrompt = 160;
    private const int TurnTokens = 32;
    private const int OutputTokens = 12;

    public override string Id => "L6";

    public override string Title => "first token p95 of turns 2 to 8, 32 conversations on 8 sequences";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        context.Progress($"{Id}: {Title}");
        // The same number of sequences on both sides. llama-server may keep 8 GiB of conversations in memory beside them (its default).
        await using var fleet = await context.StartFleetAsync(Sequences);
        await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, Sequences, SlotTokens);
        await using var tuned = await context.StartAnchorAsync(AnchorVariant.ShortBatches, Sequences, SlotTokens);
        var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
        var turns = context.Quick ? 3 : 8;
        var run = await context.CompareAsync(sides, context.Protocol(2, 1), (side, round) => MeasureAsync(side, turns, round), "first_token_p95_s");

        result.Count(run);
        result.Flag("turns", sides);
        result.Ratios["turns"] = run.Ratio("first_token_p95_s", Anchor, Fleet);
        result.Ratios["turns_tuned"] = run.Ratio("first_token_p95_s", Tuned, Fleet);
        result.AddFigures(run, sides.Keys, "first_token_p95_s", "turns_first_token_p95", "s");
        result.AddFigures(run, sides.Keys, "cached_share", "turns_cached", "share");
        if (context.Quick)
            result.Notes.Add($"{turns} turns instead of 8");
    }

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Side side, int turns, int round)
    {
        var random = new Random(HashCode.Combine(6, round));
        var conversations = Enumerable.Range(0, Conversations).Select(_ => BenchContext.RandomTokens(random, FirstPrompt).ToList()).ToList();
        var later = new List<Reply>();
        for (var turn = 1; turn <= turns; turn++)
        {
            if (turn > 1)
            {
                // The answer as the client sends it back, which neither side has computed, and the next question: the same for both, because
                // llama-server's stream does not tell every token it wrote.
                foreach (var conversation in conversations)
                    conversation.AddRange(BenchContext.RandomTokens(random, OutputTokens + TurnTokens));
            }

            // As many at a time as there are sequences; everybody's turn comes before anybody's next.
            using var places = new SemaphoreSlim(Sequences);
            var replies = await Task.WhenAll(conversations.Select(async conversation =>
            {
                await places.WaitAsync();
                try
                {
                    return await side.GenerateAsync(new Ask([.. conversation], OutputTokens));
                }
                finally
                {
                    places.Release();
                }
            }));
            if (replies.Any(reply => !reply.Completed))
                throw new BenchmarkException($"A reply did not complete.\n{side.Process.Tail()}");
            if (turn > 1)
                later.AddRange(replies);
        }

        return new Dictionary<string, double>
        {
            ["first_token_p95_s"] = later.Select(reply => reply.FirstToken).At(95),
            ["cached_share"] = later.Sum(reply => reply.CachedTokens) / (double)later.Sum(reply => reply.Ask.Prompt.Count),
        };
    }
}
