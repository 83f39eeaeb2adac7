using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Tests.Measurement;

public sealed class SpreadTests
{
    [Theory]
    [InlineData(new[] { 3.0 }, 3)]
    [InlineData(new[] { 5.0, 1.0, 3.0 }, 3)]
    [InlineData(new[] { 4.0, 1.0, 3.0, 2.0 }, 2.5)]
    public void Of_TakesTheMedianAndTheEnds(double[] values, double median)
    {
        var spread = Spread.Of(values);

        Assert.Equal((median, values.Min(), values.Max(), values.Length), (spread.Median, spread.Low, spread.High, spread.Count));
    }

    [Fact]
    public void Of_Nothing_IsRefused() => Assert.Throws<ArgumentException>(() => Spread.Of([]));

    [Theory]
    [InlineData(50, 50)]
    [InlineData(99, 99)]
    [InlineData(99.5, 100)]
    [InlineData(100, 100)]
    [InlineData(0, 1)]
    public void At_IsTheNearestRank(double percentile, double expected) =>
        Assert.Equal(expected, Enumerable.Range(1, 100).Select(value => (double)value).Reverse().At(percentile));

    [Fact]
    public void At_OfAFewSamples_IsTheLargestForHighPercentiles() => Assert.Equal(7, new[] { 1.0, 7.0, 2.0 }.At(99));
}
