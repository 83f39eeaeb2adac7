namespace Fleet.Inference.Engine.Threads;

/// <summary>
/// How many threads the next step computes with. llama.cpp's workers spin at barriers: when one of them has to wait for a processor all of
/// them burn theirs, and two threads beside one busy process are a hundred times slower than one (llama-native.md, section 5). So: down at
/// once when others use the processors or a step took far longer than expected, up only after a while of quiet, and more slowly each time
/// going up was a mistake. Pure but for the reader; decode thread only, <see cref="Threads"/> excepted.
/// </summary>
internal sealed class ThreadGovernor
{
    // A kernel tick is 10 ms: three readings together are precise to about a twentieth of a core.
    private static readonly TimeSpan ReadEvery = TimeSpan.FromMilliseconds(100);
    private const int Window = 3;

    // A process that wants a whole core gets at least half of one beside us; short bursts of many processes stay below this.
    private const double BusyOthers = 0.4;
    private const double QuietOthers = 0.25;

    // Steps vary by this much on a quiet machine (another length of context, a page fault).
    private const double SlowFactor = 3;
    private static readonly TimeSpan SlowAtLeast = TimeSpan.FromMilliseconds(20);
    private const double AbortFactor = 6;
    private static readonly TimeSpan AbortAtLeast = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan ShortestQuiet = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestQuiet = TimeSpan.FromSeconds(30);

    private readonly ICpuReader _reader;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly Queue<CpuReading> _readings = new();
    private volatile int _threads;
    private TimeSpan _now;
    private TimeSpan _lastRead = TimeSpan.MinValue;
    private TimeSpan _quietSince;
    private TimeSpan _wentUp = TimeSpan.MinValue;
    private TimeSpan _quietNeeded = ShortestQuiet;
    private double _others;
    private bool _wasSlow;

    public ThreadGovernor(ICpuReader reader, int most, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        (_reader, _time, _start) = (reader, time, time.GetTimestamp());
        Most = Math.Max(1, Math.Min(most, (int)Math.Floor(reader.Cores + 0.25)));
        _threads = Most;
        Read();
    }

    /// <summary>Any thread.</summary>
    public int Threads => _threads;

    public int Most { get; }

    /// <summary>Asks for the next step's threads. Reads the machine's state at most ten times a second.</summary>
    /// <param name="othersHere">Threads other engines of this process compute with now.</param>
    public int Next(int othersHere = 0)
    {
        if (Most == 1)
            return 1;

        _now = _time.GetElapsedTime(_start);
        if (_now - _lastRead >= ReadEvery)
            Read();
        Consider(othersHere);
        return _threads;
    }

    /// <summary>
    /// A step has ended. Steps that take far longer than expected are the surest sign of a contended processor there is; a single one may be
    /// a page fault or a collection, and going down for a second would cost more than it did.
    /// </summary>
    /// <param name="expected">Null while nothing is known of such steps.</param>
    public void Stepped(TimeSpan taken, TimeSpan? expected)
    {
        var slow = _threads > 1 && expected is { } usual && taken > usual * SlowFactor + SlowAtLeast;
        if (slow && _wasSlow)
            StepDown(Math.Max(1, _threads / 2));
        _wasSlow = slow && !_wasSlow;
    }

    /// <summary>The step was ended because it exceeded <see cref="Limit"/>.</summary>
    public void Aborted() => StepDown(1);

    /// <summary>How long a step may take before it is better begun anew with one thread.</summary>
    public TimeSpan Limit(TimeSpan? expected) =>
        _threads > 1 && expected is { } usual ? usual * AbortFactor + AbortAtLeast : Timeout.InfiniteTimeSpan;

    private void Read()
    {
        _lastRead = _now;
        if (_reader.Read() is not { } reading)
            return;

        // After a pause the old readings say nothing about now.
        if (_readings.TryPeek(out var oldest) && reading.At - oldest.At > TimeSpan.FromSeconds(2))
            _readings.Clear();
        _readings.Enqueue(reading);
        while (_readings.Count > Window + 1)
            _readings.Dequeue();

        oldest = _readings.Peek();
        var span = (reading.At - oldest.At).TotalSeconds;
        if (span <= 0)
            return;
        _others = Math.Max(0, (reading.Busy - oldest.Busy - (reading.Own - oldest.Own)).TotalSeconds / span);
    }

    private void Consider(int othersHere)
    {
        var free = _reader.Cores - _others - othersHere;
        var possible = Math.Clamp((int)Math.Floor(free + BusyOthers), 1, Most);
        if (possible < _threads)
            StepDown(possible);

        // Not by pressure stall information: our own threads make it too (0.9 was measured beside nobody), so it would never let one go up again.
        var wanted = Math.Clamp((int)Math.Floor(free + QuietOthers), 1, Most);
        if (wanted <= _threads)
        {
            _quietSince = _now;
        }
        else if (_now - _quietSince >= _quietNeeded)
        {
            _threads = wanted;
            _wentUp = _quietSince = _now;
        }

        // It went well for long: the next disturbance is a new one.
        if (_wentUp != TimeSpan.MinValue && _now - _wentUp > LongestQuiet)
            _quietNeeded = ShortestQuiet;
    }

    private void StepDown(int threads)
    {
        if (threads >= _threads)
            return;
        if (_wentUp != TimeSpan.MinValue && _now - _wentUp < ShortestQuiet)
            _quietNeeded = TimeSpan.FromTicks(Math.Min(_quietNeeded.Ticks * 2, LongestQuiet.Ticks));
        _threads = threads;
        _quietSince = _now;
    }
}
