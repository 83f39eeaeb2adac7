namespace Aspire.Hosting.Orchestration;

/// <summary>How long to wait before the next start: doubling from 0.2 s to 10 s, from the beginning again after 30 s of good health.</summary>
internal sealed class RestartBackoff(TimeProvider time)
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.2);
    private static readonly TimeSpan Cap = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ForgivenAfter = TimeSpan.FromSeconds(30);
    private TimeSpan _next = First;
    private long? _healthySince;

    public void Healthy() => _healthySince ??= time.GetTimestamp();

    public void Unhealthy() => _healthySince = null;

    public TimeSpan NextDelay()
    {
        if (_healthySince is { } since && time.GetElapsedTime(since) >= ForgivenAfter)
            _next = First;
        _healthySince = null;
        var delay = _next;
        _next = TimeSpan.FromTicks(Math.Min(_next.Ticks * 2, Cap.Ticks));
        return delay;
    }
}
