namespace Fleet.Inference.Engine;

/// <summary>Something per second over the last few seconds. One writer; anyone may read and gets a figure that is at most one addition old.</summary>
internal sealed class RecentRate(TimeProvider time)
{
    private const int Seconds = 5;

    // One more than the window: the second that is being filled.
    private readonly long[] _sums = new long[Seconds + 1];
    private readonly long _start = time.GetTimestamp();
    private long _second;

    public void Add(long amount)
    {
        Advance();
        Interlocked.Add(ref _sums[Volatile.Read(ref _second) % _sums.Length], amount);
    }

    public double PerSecond
    {
        get
        {
            var elapsed = time.GetElapsedTime(_start).TotalSeconds;
            var now = (long)elapsed;
            var last = Volatile.Read(ref _second);
            var sum = 0L;
            for (var second = Math.Max(0, now - Seconds + 1); second <= now && second <= last; second++)
                sum += Interlocked.Read(ref _sums[second % _sums.Length]);
            return sum / Math.Clamp(elapsed, 0.1, Seconds - 1 + (elapsed - now));
        }
    }

    private void Advance()
    {
        var now = (long)time.GetElapsedTime(_start).TotalSeconds;
        if (now - _second > _sums.Length)
            Volatile.Write(ref _second, now - _sums.Length);
        while (_second < now)
        {
            Interlocked.Exchange(ref _sums[(_second + 1) % _sums.Length], 0);
            Volatile.Write(ref _second, _second + 1);
        }
    }
}
