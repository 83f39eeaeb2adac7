using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>L4: one stream while one or two other processes want the processors all the time, as a database or a web server would.</summary>
internal sealed class HogRow : Row
{
    private const int PromptTokens = 32;
    private const int OutputTokens = 64;
    private const int SlotTokens = 256;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(2);

    public override string Id => "L4";

    public override string Title => "tokens/s of 1 stream beside 1 and 2 busy processes";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        await using var fleet = await context.StartFleetAsync();
        await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, slots: 1, SlotTokens);
        await using var tuned = await context.StartAnchorAsync(AnchorVariant.Passive, slots: 1, SlotTokens);
        var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
        result.Flag("hog", sides);
        foreach (var hogs in (int[])[1, 2])
        {
            context.Progress($"{Id}: {hogs} busy {(hogs == 1 ? "process" : "processes")} beside");
            var run = await context.CompareAsync(sides, context.Protocol(5, 2), (side, round) => MeasureAsync(context, side, hogs, round), "tokens_per_s");
            result.Count(run);
            Ratios(result, run, Anchor, $"hog_{hogs}");
            Ratios(result, run, Tuned, $"hog_{hogs}_tuned");
            result.AddFigures(run, sides.Keys, "tokens_per_s", $"hog_{hogs}", "tokens_per_s");
            foreach (var side in sides.Keys)
                result.Figures[$"hog_{hogs}_{side}_timeouts"] = run.Rounds.Sum(round => round.Visits[side].Metrics["timeout"]);
        }
    }

    /// <summary>
    /// The ratio of the medians of five, as the scoreboard has it. A time-out is 0 in the figures; here it counts with what had arrived by
    /// then, at least one token, so that the ratio stays a number and is too low rather than too high.
    /// </summary>
    private static void Ratios(RowResult result, PairedRun run, string anchor, string key)
    {
        var pairs = run.Ratio("arrived_per_s", Fleet, anchor);
        result.Ratios[key] = pairs with { Median = run.Values(Fleet, "tokens_per_s").Median / run.Values(anchor, "arrived_per_s").Median };
    }

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(BenchContext context, Side side, int hogs, int round)
    {
        await using var busy = Hogs.Start(hogs, context.Meter, context.Registry);
        // Until an adaptive side has noticed; the other has the same time.
        await Task.Delay(Settle);
        var longest = context.Quick ? Limit / 2 : Limit;
        using var limit = new CancellationTokenSource(longest);
        var reply = await side.GenerateAsync(new Ask(BenchContext.RandomTokens(new Random(HashCode.Combine(4, hogs, round)), PromptTokens), OutputTokens), limit.Token);
        var seconds = reply.Completed ? Reply.Seconds(reply.LastAt - reply.Submitted) : longest.TotalSeconds;
        return new Dictionary<string, double>
        {
            ["tokens_per_s"] = reply.Completed ? reply.Tokens / seconds : 0,
            ["arrived_per_s"] = Math.Max(1, reply.Tokens) / seconds,
            ["timeout"] = reply.Completed ? 0 : 1,
        };
    }
}
