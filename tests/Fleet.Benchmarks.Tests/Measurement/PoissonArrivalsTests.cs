using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Tests.Measurement;

public sealed class PoissonArrivalsTests
{
    [Fact]
    public void Times_HaveTheRateAndTheSpreadOfAPoissonProcess()
    {
        var times = PoissonArrivals.Times(5, TimeSpan.FromSeconds(4000), seed: 1);

        var gaps = times.Zip(times.Skip(1), (a, b) => (b - a).TotalSeconds).ToList();
        var mean = gaps.Average();
        var deviation = Math.Sqrt(gaps.Average(gap => (gap - mean) * (gap - mean)));
        Assert.InRange(times.Count, 19_500, 20_500);
        // Exponential gaps deviate as much as they last.
        Assert.InRange(deviation / mean, 0.95, 1.05);
        Assert.True(gaps.TrueForAll(gap => gap >= 0));
        Assert.True(times[^1] < TimeSpan.FromSeconds(4000));
    }

    [Fact]
    public void Times_SameSeed_AreTheSame() =>
        Assert.Equal(PoissonArrivals.Times(2, TimeSpan.FromSeconds(60), 3), PoissonArrivals.Times(2, TimeSpan.FromSeconds(60), 3));

    [Fact]
    public void Times_NoRate_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => PoissonArrivals.Times(0, TimeSpan.FromSeconds(1), 1));
}
