namespace Fleet.Benchmarks.Inference;

/// <summary>
/// L8: Fleet with and without guessing tokens from the conversation's own text. The benchmark model's weights are random: it does not quote
/// its prompt, so what counts here is what guessing costs (at 16 streams); the gain at one stream is that of a model that repeats itself.
/// </summary>
internal sealed class SpeculationRow : Row
{
    private const int PhraseTokens = 48;
    private const int PhraseRepeats = 3;
    private const int OutputTokens = 96;

    public override string Id => "L8";

    public override string Title => "speculation on against off, 1 and 16 streams";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        await using var on = await context.StartFleetAsync(further: new Dictionary<string, string> { ["Speculation"] = "true" });
        await using var off = await context.StartFleetAsync(further: new Dictionary<string, string> { ["Speculation"] = "false" });
        var sides = new Dictionary<string, Side> { [Fleet] = on, ["off"] = off };
        result.Flag("speculation", sides);
        foreach (var streams in (int[])[1, 16])
        {
            context.Progress($"{Id}: {streams} streams");
            var run = await context.CompareAsync(sides, context.Protocol(5, 2), (side, round) => MeasureAsync(side, streams, round), "tokens_per_s");
            result.Count(run);
            var suffix = streams == 1 ? "" : $"_{streams}";
            result.Ratios["speculation" + suffix] = run.Ratio("tokens_per_s", Fleet, "off");
            result.AddFigures(run, sides.Keys, "tokens_per_s", $"speculation_{streams}", "tokens_per_s");
            result.Figures[$"speculation_{streams}_drafted_tokens"] = run.Values(Fleet, "drafted").Median;
            result.Figures[$"speculation_{streams}_accepted_tokens"] = run.Values(Fleet, "accepted").Median;
            if (run.Rounds.Any(round => round.Visits[Fleet].Metrics["hash"] != round.Visits["off"].Metrics["hash"]))
                result.Notes.Add($"{streams} streams: replies with and without it differ somewhere (batches of another shape round differently)");
        }

        result.Notes.Add("no model that quotes its prompt is at hand (random weights), so the ratio at one stream is not the claim of L8");
    }

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Side side, int streams, int round)
    {
        var random = new Random(HashCode.Combine(8, streams, round));
        var asks = Enumerable.Range(0, streams).Select(_ =>
        {
            var phrase = BenchContext.RandomTokens(random, PhraseTokens);
            return new Ask([.. Enumerable.Repeat(phrase, PhraseRepeats).SelectMany(tokens => tokens)], OutputTokens);
        }).ToList();
        var replies = await side.GenerateAllAsync(asks);
        if (replies.Any(reply => !reply.Completed))
            throw new BenchmarkException($"A reply did not complete.\n{side.Process.Tail()}");
        return new Dictionary<string, double>
        {
            ["tokens_per_s"] = replies.Sum(reply => reply.Tokens) / Reply.Seconds(replies.Max(reply => reply.LastAt) - replies.Min(reply => reply.FirstAt)),
            ["drafted"] = replies.Sum(reply => reply.DraftedTokens),
            ["accepted"] = replies.Sum(reply => reply.AcceptedTokens),
            ["hash"] = replies.SelectMany(reply => reply.TokenIds).Aggregate(17, HashCode.Combine),
        };
    }
}
