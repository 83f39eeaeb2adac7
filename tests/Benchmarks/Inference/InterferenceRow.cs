using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>L3: three people are being answered when somebody sends a prompt of 1,900 tokens. How long do the three stand still?</summary>
internal sealed class InterferenceRow : Row
{
    private const int Victims = 3;
    private const int VictimPrompt = 32;

    // More than they are let have: they must not end before the long prompt is computed, and are cancelled then.
    private const int VictimOutput = 1900;
    private const int TokensBeforeIntruder = 20;
    private const int TokensAfterIntruder = 3;
    private const int IntruderPrompt = 1900;
    private const int IntruderOutput = 8;
    private const int SlotTokens = 2048;

    public override string Id => "L3";

    public override string Title => "longest pause of 3 streams while a prompt of 1,900 tokens comes in";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        context.Progress($"{Id}: {Title}");
        await using var fleet = await context.StartFleetAsync();
        await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, Victims + 1, SlotTokens);
        var (variant, best) = await context.StartBestAnchorAsync(Victims + 1, SlotTokens, MeasureAsync, "pause_s", lowerIsBetter: true);
        await using var tuned = best;
        var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
        var run = await context.CompareAsync(sides, context.Protocol(5, 2), MeasureAsync, "pause_s");

        result.Count(run);
        result.Flag("prefill_stall", sides);
        result.Ratios["prefill_stall"] = run.Ratio("pause_s", Anchor, Fleet);
        result.Ratios["prefill_stall_tuned"] = run.Ratio("pause_s", Tuned, Fleet);
        result.Ratios["intruder_first_token"] = run.Ratio("intruder_s", Anchor, Fleet);
        result.Ratios["intruder_first_token_tuned"] = run.Ratio("intruder_s", Tuned, Fleet);
        result.AddFigures(run, sides.Keys, "pause_s", "prefill_stall", "s");
        result.AddFigures(run, sides.Keys, "gap_p99_s", "gap_p99", "s");
        result.AddFigures(run, sides.Keys, "intruder_s", "intruder_first_token", "s");
        result.Notes.Add($"best tuned: {variant.Name}");
    }

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Side side, int round)
    {
        var random = new Random(HashCode.Combine(3, round));
        using var enough = new CancellationTokenSource();
        var victims = Enumerable.Range(0, Victims).Select(_ => new LiveReply(side, new Ask(BenchContext.RandomTokens(random, VictimPrompt), VictimOutput), enough.Token)).ToList();
        foreach (var victim in victims)
            await victim.HasAsync(TokensBeforeIntruder);
        var intruder = await side.GenerateAsync(new Ask(BenchContext.RandomTokens(random, IntruderPrompt), IntruderOutput));
        // A pause that has not ended yet would not be seen.
        foreach (var (victim, had) in victims.Select(victim => (victim, victim.Tokens)).ToList())
            await victim.HasAsync(had + TokensAfterIntruder);
        await enough.CancelAsync();
        var replies = await Task.WhenAll(victims.Select(victim => victim.Whole));
        if (!intruder.Completed)
            throw new BenchmarkException($"The long prompt was not answered.\n{side.Process.Tail()}");

        var gaps = replies.SelectMany(reply => reply.GapsAfter(intruder.Submitted)).ToList();
        return new Dictionary<string, double> { ["pause_s"] = gaps.Max(), ["gap_p99_s"] = gaps.At(99), ["intruder_s"] = intruder.FirstToken };
    }
}
