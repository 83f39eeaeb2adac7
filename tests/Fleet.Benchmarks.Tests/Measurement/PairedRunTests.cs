using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Tests.Measurement;

public sealed class PairedRunTests
{
    private static readonly string[] Sides = ["a", "b"];

    [Fact]
    public async Task MeasureAsync_AlternatesTheOrder()
    {
        var order = new List<string>();

        await PairedRun.MeasureAsync(new Protocol(4, 0.1, 0), Sides, (side, _) =>
        {
            order.Add(side);
            return Task.FromResult(Quiet(1));
        });

        Assert.Equal("abbaabba", string.Concat(order));
    }

    [Fact]
    public async Task Ratio_IsTheMedianOfPairs_NotTheRatioOfMedians()
    {
        var a = new Queue<double>([10, 100, 30]);
        var b = new Queue<double>([10, 50, 10]);

        var run = await PairedRun.MeasureAsync(new Protocol(3, 0.1, 0), Sides, (side, _) => Task.FromResult(Quiet((side == "a" ? a : b).Dequeue())));

        Assert.Equal((2, 1, 3, 3), (run.Ratio("m", "a", "b").Median, run.Ratio("m", "a", "b").Low, run.Ratio("m", "a", "b").High, run.Ratio("m", "a", "b").Count));
    }

    [Fact]
    public async Task MeasureAsync_NoisyPair_IsThrownAwayAndRepeatedInTheSameDirection()
    {
        var order = new List<string>();
        var numbers = new List<int>();

        var run = await PairedRun.MeasureAsync(new Protocol(2, 0.1, 5), Sides, (side, number) =>
        {
            order.Add(side);
            numbers.Add(number);
            // The first pair's second half and the whole second pair.
            return Task.FromResult(new Visit(Metric(number), number == 0 && side == "b" || number == 1 ? 0.5 : 0.05));
        });

        Assert.Equal("ababab" + "ba", string.Concat(order));
        Assert.Equal([0, 0, 1, 1, 2, 2, 3, 3], numbers);
        Assert.Equal((2, 2, 0.05), (run.Rounds.Count, run.Discarded, run.OtherCores));
        Assert.Equal(2, run.Values("a", "m").Low);
    }

    [Fact]
    public async Task MeasureAsync_NeverQuiet_EndsAndSaysSo()
    {
        var run = await PairedRun.MeasureAsync(new Protocol(3, 0.1, 2), Sides, (_, _) => Task.FromResult(new Visit(Metric(1), 0.7)));

        Assert.Equal((3, 2, 0.7), (run.Rounds.Count, run.Discarded, run.OtherCores));
    }

    private static Visit Quiet(double value) => new(Metric(value), 0);

    private static Dictionary<string, double> Metric(double value) => new() { ["m"] = value };
}
