using System.Diagnostics;
using System.Globalization;
using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// L5: the highest rate of requests, arriving as they like (Poisson), at which 99 of 100 get their first token within 2 s and their
/// tokens at 100 ms or less each: MLPerf's limits for a small model. An open loop: nobody waits for the ones before.
/// </summary>
internal sealed class GoodputRow : Row
{
    private const double FirstTokenLimit = 2;
    private const double PerTokenLimit = 0.1;
    private const double Completion = 0.99;
    private const int Slots = 16;
    private const int SlotTokens = 1024;

    // Mostly questions, now and then a document: what makes schedulers differ.
    private const int ShortPrompt = 64;
    private const int LongPrompt = 768;
    private const double LongShare = 0.15;
    private const int OutputTokens = 32;
    private const int Confirmations = 2;

    public override string Id => "L5";

    public override string Title => "goodput: requests/s within 2 s to the first token and 100 ms per token";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        await using var fleet = await context.StartFleetAsync();
        await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, Slots, SlotTokens);
        await using var tuned = await context.StartAnchorAsync(AnchorVariant.ShortBatches, Slots, SlotTokens);
        var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
        result.Flag("goodput", sides);
        var window = TimeSpan.FromSeconds(context.Quick ? 12 : 25);
        var search = context.Quick ? new RateSearch(0.1, 20, 0.35) : new RateSearch(0.1, 20, 0.15);
        var rates = new Dictionary<string, double>();
        var start = 0.8;
        foreach (var (name, side) in sides)
        {
            context.Progress($"{Id}: {name}");
            var probes = 0;
            rates[name] = await search.FindAsync(start, async rate => (await ProbeAsync(context, side, rate, window, seed: ++probes, result)).Met);
            // The next one's search begins where this one's ended.
            start = Math.Max(search.Lowest, rates[name]);
        }

        if (!context.Quick)
            await ConfirmAsync(context, sides, rates, window, result);
        foreach (var (name, rate) in rates)
            result.Figures[$"goodput_{name}_requests_per_s"] = rate;
        result.Ratios["goodput"] = Single(rates[Fleet] / Math.Max(search.Lowest, rates[Anchor]));
        result.Ratios["goodput_tuned"] = Single(rates[Fleet] / Math.Max(search.Lowest, rates[Tuned]));
    }

    private static Spread Single(double ratio) => new(ratio, ratio, ratio, 1);

    /// <summary>Each side again at its rate with other arrivals, in turn; whoever fails goes down by a step.</summary>
    private static async Task ConfirmAsync(BenchContext context, Dictionary<string, Side> sides, Dictionary<string, double> rates, TimeSpan window, RowResult result)
    {
        const double Step = 0.93;
        for (var i = 0; i < Confirmations; i++)
        {
            foreach (var name in i % 2 == 0 ? sides.Keys.ToArray() : [.. sides.Keys.Reverse()])
            {
                if (rates[name] > 0 && await ProbeAsync(context, sides[name], rates[name], window, seed: 100 + i, result) is { Met: false })
                    rates[name] *= Step;
            }
        }
    }

    private static async Task<Probe> ProbeAsync(BenchContext context, Side side, double rate, TimeSpan window, int seed, RowResult result)
    {
        Probe? probe = null;
        var visit = await context.VisitAsync(side, async () =>
        {
            probe = Probe.Of(await OpenLoopAsync(side, PoissonArrivals.Times(rate, window, seed), seed));
            return new Dictionary<string, double>();
        });
        context.Progress(string.Create(CultureInfo.InvariantCulture,
            $"  {rate:0.00}/s: first token p99 {probe!.FirstToken:0.00} s, per token p99 {probe.PerToken * 1000:0} ms, {probe.Completed:0.00} completed: {(probe.Met ? "met" : "missed")} (others {visit.OtherCores:0.00} cores)"));
        // A search cannot repeat a probe as a pair is repeated: the noise is reported.
        result.Saw(visit.OtherCores);
        return probe;
    }

    private static async Task<IReadOnlyList<Reply>> OpenLoopAsync(Side side, IReadOnlyList<TimeSpan> arrivals, int seed)
    {
        var random = new Random(HashCode.Combine(5, seed));
        var asks = arrivals.Select(_ => new Ask(BenchContext.RandomTokens(random, random.NextDouble() < LongShare ? LongPrompt : ShortPrompt), OutputTokens)).ToList();
        // Nothing that arrives can still meet its limits after this.
        var last = arrivals.Count > 0 ? arrivals[^1] : TimeSpan.Zero;
        using var limit = new CancellationTokenSource(last + TimeSpan.FromSeconds(FirstTokenLimit + (2 * OutputTokens * PerTokenLimit) + 5));
        var clock = Stopwatch.StartNew();
        var running = new List<Task<Reply>>();
        foreach (var (at, ask) in arrivals.Zip(asks))
        {
            if (at - clock.Elapsed is { Ticks: > 0 } wait)
                await Task.Delay(wait);
            running.Add(side.GenerateAsync(ask, limit.Token));
        }

        return await Task.WhenAll(running);
    }

    /// <summary>What an open loop showed. A reply that was refused or cut off has no first token and no time per token that meets anything.</summary>
    internal sealed record Probe(double FirstToken, double PerToken, double Completed)
    {
        public bool Met => FirstToken <= FirstTokenLimit && PerToken <= PerTokenLimit && Completed >= Completion;

        public static Probe Of(IReadOnlyList<Reply> replies) => replies.Count == 0
            ? new Probe(0, 0, 1)
            : new Probe(
                replies.Select(reply => reply.Completed ? reply.FirstToken : double.PositiveInfinity).At(99),
                replies.Select(reply => reply.Completed ? reply.PerToken : double.PositiveInfinity).At(99),
                replies.Count(reply => reply.Completed) / (double)replies.Count);
    }
}
