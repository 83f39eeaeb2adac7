namespace Fleet.Benchmarks.Measurement;

/// <summary>An open loop: when requests come does not depend on how the ones before them fare.</summary>
internal static class PoissonArrivals
{
    /// <summary>Moments within the window, exponentially spaced; the same seed gives the same moments scaled by the rate.</summary>
    public static IReadOnlyList<TimeSpan> Times(double perSecond, TimeSpan window, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(perSecond);
        var random = new Random(seed);
        var times = new List<TimeSpan>();
        for (var at = Gap(); at < window.TotalSeconds; at += Gap())
            times.Add(TimeSpan.FromSeconds(at));
        return times;

        double Gap() => -Math.Log(1 - random.NextDouble()) / perSecond;
    }
}
