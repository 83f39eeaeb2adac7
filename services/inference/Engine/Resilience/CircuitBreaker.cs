namespace Fleet.Inference.Engine.Resilience;

internal enum CircuitState
{
    /// <summary>Calls go through.</summary>
    Closed,

    /// <summary>Calls are refused until the pause is over.</summary>
    Open,

    /// <summary>A few calls go through to see whether the target is back.</summary>
    HalfOpen,
}

internal enum CallOutcome
{
    Succeeded,

    /// <summary>The target's fault.</summary>
    Failed,

    /// <summary>Says nothing about the target: the caller's mistake, a cancellation, a full queue.</summary>
    Unknown,
}

/// <summary>A circuit at one moment.</summary>
/// <param name="TrialSuccesses">While half open: successes so far of those needed to close.</param>
/// <param name="OpenedAt">When it last opened; null = never, or it has closed since.</param>
/// <param name="RetryAfter">While open: until trials are let through.</param>
/// <param name="LastError">Kind of the last failure, never its content; empty = none.</param>
internal sealed record CircuitSnapshot(
    string Name, CircuitState State, int ConsecutiveFailures, int TrialSuccesses, DateTimeOffset? OpenedAt, TimeSpan RetryAfter, string LastError);

/// <summary>Leave to make one call; its outcome must be reported once.</summary>
/// <param name="Epoch">Which opening or closing of the circuit it belongs to: what began before a change does not speak about what came after.</param>
internal readonly record struct CircuitPass(long Epoch, bool Trial);

/// <summary>
/// Closed → open after so many failures in a row → half open after a pause → closed after so many trials that succeeded, or open again
/// after one that failed. Thread-safe; time is read, never waited for.
/// </summary>
/// <param name="changed">Called after every change of state, outside the lock: old state, snapshot after it.</param>
internal sealed class CircuitBreaker(string name, CircuitOptions options, TimeProvider time, Action<CircuitState, CircuitSnapshot>? changed = null)
{
    private readonly Lock _lock = new();
    private CircuitState _state;
    private long _epoch;
    private int _failures;
    private int _trialsRunning;
    private int _trialSuccesses;
    private long _openedTimestamp;
    private DateTimeOffset? _openedAt;
    private string _lastError = "";

    public string Name => name;

    public CircuitSnapshot Snapshot()
    {
        lock (_lock)
            return Describe();
    }

    /// <summary>False when the call must not be made; then <paramref name="retryAfter"/> says when it may.</summary>
    public bool TryEnter(out CircuitPass pass, out TimeSpan retryAfter)
    {
        (CircuitState Before, CircuitSnapshot After)? change = null;
        bool entered;
        lock (_lock)
        {
            if (_state == CircuitState.Open && Remaining() == TimeSpan.Zero)
                change = (MoveTo(CircuitState.HalfOpen), Describe());

            // As many trials at a time as are still needed: never more than can count.
            entered = _state == CircuitState.Closed || _state == CircuitState.HalfOpen && _trialsRunning < options.Successes - _trialSuccesses;
            pass = entered ? new CircuitPass(_epoch, _state == CircuitState.HalfOpen) : default;
            retryAfter = entered ? TimeSpan.Zero : _state == CircuitState.Open ? Remaining() : TimeSpan.FromSeconds(1);
            if (entered && pass.Trial)
                _trialsRunning++;
        }

        Announce(change);
        return entered;
    }

    /// <param name="error">Kind of the failure; kept for people to see.</param>
    public void Report(CircuitPass pass, CallOutcome outcome, string error = "")
    {
        (CircuitState Before, CircuitSnapshot After)? change = null;
        lock (_lock)
        {
            if (pass.Epoch != _epoch)
                return;

            if (pass.Trial)
                _trialsRunning--;
            switch (outcome)
            {
                case CallOutcome.Succeeded:
                    _failures = 0;
                    if (pass.Trial && ++_trialSuccesses >= options.Successes)
                        change = (MoveTo(CircuitState.Closed), Describe());
                    break;

                case CallOutcome.Failed:
                    _failures++;
                    _lastError = error;
                    if (pass.Trial || _failures >= options.Failures)
                        change = (MoveTo(CircuitState.Open), Describe());
                    break;
            }
        }

        Announce(change);
    }

    private CircuitState MoveTo(CircuitState next)
    {
        var before = _state;
        (_state, _trialsRunning, _trialSuccesses) = (next, 0, 0);
        _epoch++;
        if (next == CircuitState.Open)
            (_openedTimestamp, _openedAt) = (time.GetTimestamp(), time.GetUtcNow());
        if (next == CircuitState.Closed)
            (_openedAt, _failures) = (null, 0);
        return before;
    }

    private TimeSpan Remaining()
    {
        var remaining = options.OpenFor - time.GetElapsedTime(_openedTimestamp);
        return remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero;
    }

    private CircuitSnapshot Describe() =>
        new(name, _state, _failures, _trialSuccesses, _openedAt, _state == CircuitState.Open ? Remaining() : TimeSpan.Zero, _lastError);

    private void Announce((CircuitState Before, CircuitSnapshot After)? change)
    {
        if (change is { } happened)
            changed?.Invoke(happened.Before, happened.After);
    }
}
