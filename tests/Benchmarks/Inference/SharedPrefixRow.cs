namespace Fleet.Benchmarks.Inference;

/// <summary>L2: eight requests at once that share their first 1,024 tokens, and the memory that sixteen such take.</summary>
internal sealed class SharedPrefixRow : Row
{
    private const int PrefixTokens = 1024;
    private const int OwnTokens = 32;
    private const int OutputTokens = 16;
    private const int Requests = 8;
    private const int SlotTokens = 1280;
    private const int ManyRequests = 16;

    public override string Id => "L2";

    public override string Title => "time to first token with a shared prefix of 1,024 tokens, 8 requests";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        await using var fleet = await context.StartFleetAsync();
        await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, Requests, SlotTokens);
        // The tuned variants do not differ in what they share; the one for short stalls stands for them.
        await using var tuned = await context.StartAnchorAsync(AnchorVariant.ShortBatches, Requests, SlotTokens);
        var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
        context.Progress($"{Id}: {Title}");
        var run = await context.CompareAsync(sides, context.Protocol(5, 1), MeasureAsync, "warm_s");

        result.Count(run);
        result.Flag("shared_prefix", sides);
        result.Ratios["shared_prefix"] = run.Ratio("warm_s", Anchor, Fleet);
        result.Ratios["shared_prefix_tuned"] = run.Ratio("warm_s", Tuned, Fleet);
        result.Ratios["shared_prefix_cold"] = run.Ratio("cold_s", Anchor, Fleet);
        result.Ratios["shared_prefix_cold_tuned"] = run.Ratio("cold_s", Tuned, Fleet);
        foreach (var metric in (string[])["warm", "cold"])
            result.AddFigures(run, sides.Keys, metric + "_s", $"first_token_{metric}", "s");
        result.AddFigures(run, sides.Keys, "cached", "cached_tokens_warm", "mean");
        await CellsAsync(context, fleet, result);
    }

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Side side, int round)
    {
        var random = new Random(HashCode.Combine(2, round));
        var cold = await BurstAsync(side, BenchContext.RandomTokens(random, PrefixTokens), random);
        var prefix = BenchContext.RandomTokens(random, PrefixTokens);
        await side.GenerateAsync(WithPrefix(prefix, random));
        var warm = await BurstAsync(side, prefix, random);
        return new Dictionary<string, double>
        {
            ["cold_s"] = Measurement.Percentiles.Median(cold.Select(reply => reply.FirstToken)),
            ["warm_s"] = Measurement.Percentiles.Median(warm.Select(reply => reply.FirstToken)),
            ["cached"] = warm.Average(reply => reply.CachedTokens),
        };
    }

    private static async Task<IReadOnlyList<Reply>> BurstAsync(Side side, int[] prefix, Random random)
    {
        var replies = await side.GenerateAllAsync(Enumerable.Range(0, Requests).Select(_ => WithPrefix(prefix, random)));
        return replies.All(reply => reply.Completed) ? replies : throw new BenchmarkException($"A reply did not complete.\n{side.Process.Tail()}");
    }

    private static Ask WithPrefix(int[] prefix, Random random, int output = OutputTokens) => new([.. prefix, .. BenchContext.RandomTokens(random, OwnTokens)], output);

    /// <summary>L2c. llama-server keeps a copy per slot: what it takes is what the streams are long.</summary>
    private static async Task CellsAsync(BenchContext context, FleetSide fleet, RowResult result)
    {
        const int LongOutput = 64;
        var random = new Random(22);
        var prefix = BenchContext.RandomTokens(random, PrefixTokens);
        fleet.Process.Resume();
        try
        {
            await fleet.GenerateAsync(WithPrefix(prefix, random));
            var all = fleet.GenerateAllAsync(Enumerable.Range(0, ManyRequests).Select(_ => WithPrefix(prefix, random, LongOutput)));
            var most = 0;
            while (!all.IsCompleted)
            {
                if (await fleet.StatusAsync() is { KvCells: > 0 } status)
                    most = Math.Max(most, status.KvCellsUsed - status.KvCellsCached);
                await Task.WhenAny(all, Task.Delay(TimeSpan.FromMilliseconds(100)));
            }

            var replies = await all;
            if (most == 0)
            {
                result.Notes.Add("L2c: this engine does not report its cells.");
                return;
            }

            var separate = replies.Sum(reply => reply.Ask.Prompt.Count + reply.Tokens);
            result.Figures["cells_fleet"] = most;
            result.Figures["cells_separate"] = separate;
            result.Ratios["shared_prefix_cells"] = new Measurement.Spread(separate / (double)most, separate / (double)most, separate / (double)most, 1);
        }
        finally
        {
            fleet.Process.Pause();
        }
    }
}
