namespace Fleet.Inference.Engine.Speculation;

/// <summary>
/// How many guesses are worth computing. A step with guesses takes longer, by how much depends on the machine: on a processor a token more
/// costs about half a step, on a GPU nearly nothing. So the time of steps is measured by their number of tokens, and the number of guesses
/// is the one with the most tokens per second for the rate at which guesses have been right. One per engine; decode thread only.
/// </summary>
/// <param name="always">All guesses at hand, whether they pay or not: to test what guessing must not change.</param>
internal sealed class DraftLength(bool always = false)
{
    public const int Most = 8;

    // A gain below this is within the noise of the estimates.
    private const double Margin = 1.08;
    private const double Learning = 0.15;

    // Until measured, what a token more costs of a step; between a small machine's and a GPU's.
    private const double AssumedSlope = 0.35;

    private readonly double[] _seconds = new double[Most + 2];
    private int _threads;

    /// <summary>A step that computed nothing but this many tokens of one reply. Another number of threads is another machine.</summary>
    public void Measured(int tokens, TimeSpan taken, int threads = 1)
    {
        if (threads != _threads)
            Array.Clear(_seconds);
        _threads = threads;
        if (tokens < 1 || tokens >= _seconds.Length)
            return;

        var seconds = taken.TotalSeconds;
        ref var known = ref _seconds[tokens];

        // A step that was disturbed says nothing about the machine.
        if (known > 0)
            seconds = Math.Min(seconds, known * 3);
        known = known == 0 ? seconds : known + Learning * (seconds - known);
    }

    /// <summary>The best number of guesses, 0 = none.</summary>
    /// <param name="acceptance">How likely a guess is right when those before it were.</param>
    /// <param name="available">Guesses at hand.</param>
    public int Best(double acceptance, int available)
    {
        if (always)
            return Math.Min(available, Most);
        if (_seconds[1] == 0)
            return 0;

        var best = 0;
        var highest = Margin / Seconds(1);
        var expected = 1d;
        var right = 1d;
        for (var guesses = 1; guesses <= Math.Min(available, Most); guesses++)
        {
            right *= acceptance;
            expected += right;
            if (expected / Seconds(guesses + 1) is var rate && rate > highest)
                (best, highest) = (guesses, rate);
        }

        return best;
    }

    // Measured, or on the line through the nearest measured numbers.
    private double Seconds(int tokens)
    {
        if (_seconds[tokens] > 0)
            return Math.Max(_seconds[tokens], _seconds[1]);

        var below = tokens - 1;
        while (_seconds[below] == 0)
            below--;
        var above = tokens + 1;
        while (above < _seconds.Length && _seconds[above] == 0)
            above++;
        if (above < _seconds.Length)
            return _seconds[below] + (_seconds[above] - _seconds[below]) * (tokens - below) / (above - below);

        var slope = below > 1 ? (_seconds[below] - _seconds[1]) / (below - 1) : AssumedSlope * _seconds[1];
        return _seconds[below] + Math.Max(0, slope) * (tokens - below);
    }
}
