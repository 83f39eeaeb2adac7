using Fleet.Inference.Engine;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Engine;

public sealed class RecentRateTests
{
    [Fact]
    public void PerSecond_IsOfTheLastSeconds_AndZeroWhenIdle()
    {
        var time = new ManualTimeProvider();
        var rate = new RecentRate(time);
        Assert.Equal(0, rate.PerSecond);

        for (var i = 0; i < 100; i++)
        {
            rate.Add(10);
            time.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.InRange(rate.PerSecond, 90, 110);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.InRange(rate.PerSecond, 30, 70);
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0, rate.PerSecond);

        rate.Add(10);
        Assert.InRange(rate.PerSecond, 1, 10);
    }
}
