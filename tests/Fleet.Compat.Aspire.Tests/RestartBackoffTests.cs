using Aspire.Hosting.Orchestration;
using Fleet.Testing;

namespace Fleet.Compat.Aspire.Tests;

public sealed class RestartBackoffTests
{
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void NextDelay_RepeatedFailures_DoublesUpToTenSeconds()
    {
        var backoff = new RestartBackoff(_time);

        var delays = Enumerable.Range(0, 8).Select(_ => backoff.NextDelay().TotalSeconds);

        Assert.Equal([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10], delays);
    }

    [Theory]
    [InlineData(29, 0.8)]
    [InlineData(30, 0.2)]
    public void NextDelay_AfterGoodHealth_StartsAgainFromTheShortestOnlyAfterThirtySeconds(int healthySeconds, double expected)
    {
        var backoff = new RestartBackoff(_time);
        backoff.NextDelay();
        backoff.NextDelay();

        backoff.Healthy();
        _time.Advance(TimeSpan.FromSeconds(healthySeconds));

        Assert.Equal(expected, backoff.NextDelay().TotalSeconds);
    }

    [Fact]
    public void NextDelay_HealthLostInBetween_DoesNotForgive()
    {
        var backoff = new RestartBackoff(_time);
        backoff.NextDelay();

        backoff.Healthy();
        _time.Advance(TimeSpan.FromMinutes(1));
        backoff.Unhealthy();

        Assert.Equal(0.4, backoff.NextDelay().TotalSeconds);
    }
}
