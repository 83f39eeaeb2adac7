namespace Fleet.Benchmarks.Measurement;

/// <summary>The median of what was measured, and between what it lay.</summary>
internal sealed record Spread(double Median, double Low, double High, int Count)
{
    /// <exception cref="ArgumentException">There is nothing to take a median of.</exception>
    public static Spread Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        if (sorted.Length == 0)
            throw new ArgumentException("There are no values.", nameof(values));
        return new Spread(sorted.Median(), sorted[0], sorted[^1], sorted.Length);
    }
}

internal static class Percentiles
{
    /// <summary>Nearest rank over raw samples.</summary>
    public static double At(this IEnumerable<double> samples, double percentile)
    {
        var sorted = samples.Order().ToArray();
        return sorted[Math.Clamp((int)Math.Ceiling(percentile / 100 * sorted.Length) - 1, 0, sorted.Length - 1)];
    }

    /// <summary>The middle value, or the mean of the two in the middle.</summary>
    public static double Median(this IEnumerable<double> samples)
    {
        var sorted = samples.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
