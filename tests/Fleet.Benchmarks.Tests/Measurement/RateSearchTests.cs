using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Tests.Measurement;

public sealed class RateSearchTests
{
    [Theory]
    [InlineData(0.15)]
    [InlineData(0.8)]
    [InlineData(1.0)]
    [InlineData(3.7)]
    [InlineData(19)]
    public async Task FindAsync_FindsTheLimitWithinThePrecision_FromAnyStart(double limit)
    {
        foreach (var start in (double[])[0.01, 0.1, 1, 5, 100])
        {
            var probes = 0;

            var rate = await new RateSearch(0.1, 20, 0.1).FindAsync(start, tried =>
            {
                probes++;
                return Task.FromResult(tried <= limit);
            });

            Assert.InRange(rate, limit / 1.1, limit);
            Assert.InRange(probes, 1, 16);
        }
    }

    [Fact]
    public async Task FindAsync_NothingMeets_IsZero() =>
        Assert.Equal(0, await new RateSearch(0.1, 20, 0.1).FindAsync(1, _ => Task.FromResult(false)));

    [Fact]
    public async Task FindAsync_EverythingMeets_IsTheHighest() =>
        Assert.Equal(20, await new RateSearch(0.1, 20, 0.1).FindAsync(1, _ => Task.FromResult(true)));
}
