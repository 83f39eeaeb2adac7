namespace Fleet.Benchmarks.Measurement;

/// <summary>The highest rate that still meets a limit, by doubling and then halving the interval.</summary>
/// <param name="Lowest">A side that does not even meet this has rate 0.</param>
/// <param name="Highest">Not searched beyond.</param>
/// <param name="Precision">The search ends when the interval is this narrow, as a share of its lower end.</param>
internal sealed record RateSearch(double Lowest, double Highest, double Precision)
{
    public async Task<double> FindAsync(double start, Func<double, Task<bool>> meets)
    {
        var good = 0.0;
        var bad = double.PositiveInfinity;
        var rate = Math.Clamp(start, Lowest, Highest);
        while (true)
        {
            if (await meets(rate))
                good = rate;
            else
                bad = rate;

            if (good >= Highest || bad <= Lowest)
                return good;
            if (good > 0 && bad <= good * (1 + Precision))
                return good;
            rate = (good, bad) switch
            {
                (0, _) => Math.Max(Lowest, bad / 2),
                (_, double.PositiveInfinity) => Math.Min(Highest, good * 2),
                // The geometric middle: what is wanted is a ratio.
                _ => Math.Sqrt(good * bad),
            };
        }
    }
}
