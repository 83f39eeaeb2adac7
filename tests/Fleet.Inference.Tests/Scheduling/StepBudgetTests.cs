using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class StepBudgetTests
{
    [Fact]
    public void PrefillTokens_NobodyDecodes_IsTheWholeBatch()
    {
        var budget = Budget();

        Assert.Equal(512, budget.PrefillTokens(threads: 2, decodeTokens: 0, running: 0));
    }

    [Fact]
    public void PrefillTokens_NothingMeasured_IsTwoChunks() =>
        Assert.Equal(32, Budget().PrefillTokens(threads: 2, decodeTokens: 4, running: 4));

    [Theory]
    [InlineData(5, 1, 2)]
    [InlineData(20, 8, 1.8)]
    [InlineData(0.5, 0.2, 0.02)]
    [InlineData(100, 30, 50)]
    public void PrefillTokens_AfterMixedSteps_FillTheTimeAndNoMore(double @base, double perDecode, double perPrefill)
    {
        var random = new Random(1);
        var budget = Budget();
        for (var i = 0; i < 200; i++)
        {
            var (decode, prefill) = (random.Next(1, 17), random.Next(2) * random.Next(1, 400));
            budget.Record(2, decode, prefill, Time(@base + (perDecode * decode) + (perPrefill * prefill), random));
        }

        var tokens = budget.PrefillTokens(2, decodeTokens: 4, running: 4);

        var expected = Math.Clamp((200 - @base - (4 * perDecode)) / perPrefill, 16, 508);
        Assert.InRange(tokens, 0.8 * expected, 1.25 * expected);
    }

    [Fact]
    public void PrefillTokens_DecodeAloneTakesTooLong_IsTheLeastChunk()
    {
        var budget = Budget();
        for (var i = 0; i < 20; i++)
            budget.Record(2, 8, 0, TimeSpan.FromSeconds(1));

        Assert.Equal(16, budget.PrefillTokens(2, decodeTokens: 8, running: 8));
        Assert.Equal(4, budget.PrefillTokens(2, decodeTokens: 508, running: 8));
        Assert.Equal(0, budget.PrefillTokens(2, decodeTokens: 512, running: 8));
    }

    [Fact]
    public void PrefillTokens_OneStepAHundredTimesTooSlow_BarelyMoves()
    {
        var budget = Trained(threads: 2, perPrefill: 2);
        var before = budget.PrefillTokens(2, 4, 4);

        budget.Record(2, 4, 90, TimeSpan.FromSeconds(20));

        Assert.InRange(budget.PrefillTokens(2, 4, 4), 0.6 * before, before);
    }

    [Fact]
    public void PrefillTokens_TheMachineGetsSlowerForGood_FollowsWithinFiftySteps()
    {
        var budget = Trained(threads: 2, perPrefill: 0.5);
        Train(budget, threads: 2, perPrefill: 5, steps: 50, seed: 7);

        Assert.InRange(budget.PrefillTokens(2, 4, 4), 16, 75);
    }

    [Fact]
    public void Record_ThreadsAreLearnedApart_AndStandInUntilMeasured()
    {
        var budget = Trained(threads: 2, perPrefill: 1);
        var two = budget.PrefillTokens(2, 4, 4);
        Assert.Equal(two, budget.PrefillTokens(1, 4, 4));

        Train(budget, threads: 1, perPrefill: 4, steps: 100, seed: 3);

        Assert.InRange(budget.PrefillTokens(1, 4, 4), 0.15 * two, 0.35 * two);
        Assert.Equal(two, budget.PrefillTokens(2, 4, 4));
    }

    [Fact]
    public void Estimate_OnlyOneKindOfStepEver_StaysFiniteAndRight()
    {
        var budget = Budget();
        Assert.Null(budget.Estimate(2, 1, 0));
        for (var i = 0; i < 100_000; i++)
            budget.Record(2, 1, 0, TimeSpan.FromMilliseconds(12));

        Assert.InRange(budget.Estimate(2, 1, 0)!.Value.TotalMilliseconds, 11.5, 12.5);
        Assert.InRange(budget.PrefillTokens(2, 1, 1), 16, 511);
    }

    private static StepBudget Budget() => new(TimeSpan.FromMilliseconds(200), minChunk: 16, batchTokens: 512);

    private static StepBudget Trained(int threads, double perPrefill)
    {
        var budget = Budget();
        Train(budget, threads, perPrefill, steps: 100, seed: 5);
        return budget;
    }

    private static void Train(StepBudget budget, int threads, double perPrefill, int steps, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < steps; i++)
        {
            var (decode, prefill) = (random.Next(1, 9), random.Next(0, 120));
            budget.Record(threads, decode, prefill, Time(5 + (2 * decode) + (perPrefill * prefill), random));
        }
    }

    // A tenth of noise.
    private static TimeSpan Time(double milliseconds, Random random) => TimeSpan.FromMilliseconds(milliseconds * (0.95 + (0.1 * random.NextDouble())));
}
