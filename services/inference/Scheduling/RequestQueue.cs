using System.Diagnostics.CodeAnalysis;

namespace Fleet.Inference.Scheduling;

/// <summary>
/// What waits for a slot, first come first served. Bounded by what waits and runs together, so that a burst on an idle engine fills the
/// slots too and the bound is exact. Thread-safe: callers add, the decode thread takes and releases.
/// </summary>
/// <param name="capacity">Slots plus the number that may wait.</param>
internal sealed class RequestQueue<T>(int capacity)
    where T : class
{
    private readonly Lock _lock = new();
    private readonly LinkedList<T> _waiting = new();
    private int _taken;
    private bool _closed;

    public int Count
    {
        get
        {
            lock (_lock)
                return _waiting.Count;
        }
    }

    public AdmissionResult TryAdd(T request)
    {
        lock (_lock)
        {
            if (_closed)
                return AdmissionResult.Closed;
            if (_waiting.Count + _taken >= capacity)
                return AdmissionResult.QueueFull;
            _waiting.AddLast(request);
            return AdmissionResult.Accepted;
        }
    }

    public bool TryTake([NotNullWhen(true)] out T? request)
    {
        lock (_lock)
        {
            request = _waiting.First?.Value;
            if (request is null)
                return false;
            _waiting.RemoveFirst();
            _taken++;
            return true;
        }
    }

    /// <summary>What was taken has ended; its place is free.</summary>
    public void Release()
    {
        lock (_lock)
            _taken--;
    }

    /// <summary>Takes out what matches, wherever it stands.</summary>
    public List<T> Remove(Func<T, bool> matches)
    {
        lock (_lock)
        {
            var removed = _waiting.Where(matches).ToList();
            foreach (var request in removed)
                _waiting.Remove(request);
            return removed;
        }
    }

    public IReadOnlyList<T> Snapshot()
    {
        lock (_lock)
            return [.. _waiting];
    }

    /// <summary>No more requests; what waits is handed back.</summary>
    public List<T> Close()
    {
        lock (_lock)
            _closed = true;
        return Remove(_ => true);
    }
}

internal enum AdmissionResult
{
    Accepted,
    QueueFull,

    /// <summary>The engine is stopping.</summary>
    Closed,
}
