using Fleet.Inference.Engine;

namespace Fleet.Inference.Scheduling;

/// <summary>
/// What waits for its turn: weighted fair queueing of lanes, tenants within a lane and users within a tenant, first come first served within
/// a user. Work is charged as it is done, so whoever uses much sinks. Bounded by what waits and runs together, so that a burst on an idle
/// engine fills it and the bound is exact. Thread-safe: callers add, the decode thread does the rest.
/// </summary>
internal sealed class FairQueue
{
    private static readonly TimeSpan FirstGuess = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly SchedulerOptions _options;
    private readonly int _perUser;
    private readonly FairFlow _root = new(null, "", 1);
    private long _arrivals;
    private int _running;
    private bool _closed;

    // Mean time from admission to end, of those that ended by themselves; NaN before the first.
    private double _serviceSeconds = double.NaN;

    public FairQueue(SchedulerOptions options)
    {
        _options = options;
        _perUser = options.MaxQueuedPerUser > 0 ? options.MaxQueuedPerUser : (options.MaxQueued + 1) / 2;
    }

    public int Count
    {
        get
        {
            lock (_lock)
                return _root.Waiting;
        }
    }

    /// <summary>Adds a request or says why not. From any thread.</summary>
    public Admission TryAdd(Sequence sequence, DateTimeOffset now)
    {
        lock (_lock)
        {
            var wait = EstimatedWaitOf(sequence.Lane, sequence.TenantId, sequence.UserId);
            var refusal = Refusal(sequence, wait, now, out var queued);
            if (refusal == AdmissionResult.Accepted)
            {
                sequence.Arrival = ++_arrivals;
                var flow = Flow(sequence);
                sequence.Flow = flow;
                flow.Enter();
                flow.Enqueue(sequence, front: false);
                queued = _root.Waiting;
            }

            return new Admission(refusal, queued, _running, wait);
        }
    }

    /// <summary>The one whose turn it is; it stays in the queue.</summary>
    public Sequence? Peek()
    {
        lock (_lock)
            return _root.First();
    }

    /// <summary>Takes out one that waits; it counts as running until <see cref="Release"/>.</summary>
    public void Take(Sequence sequence)
    {
        lock (_lock)
        {
            sequence.Flow!.Dequeue(sequence);
            _running++;
        }
    }

    /// <summary>A preempted one waits again, before all others of its user, whatever the bounds say.</summary>
    public void PutBack(Sequence sequence)
    {
        lock (_lock)
        {
            _running--;
            sequence.Flow!.Enqueue(sequence, front: true);
        }
    }

    /// <summary>Tokens were, or surely will be, computed for the sequence; a negative number gives back.</summary>
    public void Charge(Sequence sequence, int tokens)
    {
        lock (_lock)
            sequence.Flow!.Charge(tokens);
    }

    /// <summary>One that ran has ended.</summary>
    /// <param name="service">How long it ran; null when that says nothing about others.</param>
    public void Release(Sequence sequence, TimeSpan? service)
    {
        lock (_lock)
        {
            _running--;
            sequence.Flow!.Leave();
            sequence.Flow = null;
            if (service is { TotalSeconds: >= 0 and var seconds })
                _serviceSeconds = double.IsNaN(_serviceSeconds) ? seconds : _serviceSeconds + (0.1 * (seconds - _serviceSeconds));
        }
    }

    /// <summary>Takes out, wherever they stand, those that were cancelled or whose deadline has passed.</summary>
    public List<DroppedSequence> RemoveDead(DateTimeOffset now)
    {
        lock (_lock)
        {
            var dead = new List<DroppedSequence>();
            if (_root.Waiting == 0)
                return dead;
            foreach (var sequence in Waiting())
            {
                if (sequence.Cancelled)
                    dead.Add(new DroppedSequence(sequence, DropReason.Cancelled));
                else if (sequence.Deadline <= now)
                    dead.Add(new DroppedSequence(sequence, DropReason.DeadlinePassed));
            }

            dead.ForEach(dropped => Remove(dropped.Sequence));
            return dead;
        }
    }

    /// <summary>No more requests; what waits is handed back.</summary>
    public IReadOnlyList<Sequence> Close()
    {
        lock (_lock)
        {
            _closed = true;
            var waiting = Waiting().ToList();
            waiting.ForEach(Remove);
            return waiting;
        }
    }

    /// <summary>What waits, in order of arrival.</summary>
    public IReadOnlyList<Sequence> Snapshot()
    {
        lock (_lock)
            return [.. Waiting().OrderBy(sequence => sequence.Arrival)];
    }

    /// <summary>Until an interactive request of somebody new, coming now, would get its turn.</summary>
    public TimeSpan EstimatedWait()
    {
        lock (_lock)
            return EstimatedWaitOf(Lane.Interactive, tenant: null, user: null);
    }

    private AdmissionResult Refusal(Sequence sequence, TimeSpan wait, DateTimeOffset now, out int queued)
    {
        queued = _root.Waiting;
        if (_closed)
            return AdmissionResult.Closed;
        if (_root.Active >= _options.MaxRunning + _options.MaxQueued)
            return AdmissionResult.QueueFull;
        if (sequence.UserId.Length > 0 && _root.Active >= _options.MaxRunning)
        {
            // Both lanes count: a user is a user.
            var own = Users(sequence.TenantId, sequence.UserId);
            if (own >= _perUser)
            {
                queued = own;
                return AdmissionResult.UserQueueFull;
            }
        }

        if (sequence.Deadline is { } deadline && (deadline <= now || (!double.IsNaN(_serviceSeconds) && now + wait > deadline)))
            return AdmissionResult.DeadlineTooSoon;
        return AdmissionResult.Accepted;
    }

    private FairFlow Flow(Sequence sequence)
    {
        var interactive = sequence.Lane == Lane.Interactive;
        return _root.Child(LaneName(sequence.Lane), () => interactive ? _options.InteractiveWeight : 1)
            .Child(sequence.TenantId, () => _options.TenantWeight(sequence.TenantId))
            .Child(sequence.UserId, () => _options.UserWeight(sequence.TenantId, sequence.UserId));
    }

    private int Users(string tenant, string user) =>
        _root.Children.Sum(lane => lane.Find(tenant)?.Find(user)?.Waiting ?? 0);

    private void Remove(Sequence sequence)
    {
        sequence.Flow!.Dequeue(sequence);
        sequence.Flow.Leave();
        sequence.Flow = null;
    }

    private IEnumerable<Sequence> Waiting() =>
        from lane in _root.Children
        from tenant in lane.Children
        from user in tenant.Children
        from sequence in user.Queue
        select sequence;

    /// <summary>
    /// Little's law: places free up at (running at most) / (mean time of one). Before a newcomer with k waiting, every user of its lane gets at
    /// most k + 1 turns, and the other lane its part of that.
    /// </summary>
    private TimeSpan EstimatedWaitOf(Lane lane, string? tenant, string? user)
    {
        if (_root.Active < _options.MaxRunning)
            return TimeSpan.Zero;

        double own = 0, other = 0;
        foreach (var flow in _root.Children)
        {
            var sameLane = flow.Name == LaneName(lane);
            var mine = sameLane && tenant is not null ? flow.Find(tenant)?.Find(user!)?.Waiting ?? 0 : 0;
            var ahead = flow.Children.SelectMany(child => child.Children).Sum(child => sameLane ? Math.Min(child.Waiting, mine + 1) : child.Waiting);
            if (sameLane)
                own = Math.Max(ahead, mine);
            else
                other = ahead;
        }

        var ratio = lane == Lane.Interactive ? 1 / _options.InteractiveWeight : _options.InteractiveWeight;
        var turns = own + Math.Min(other, (own + 1) * ratio) + 1;
        var service = double.IsNaN(_serviceSeconds) ? FirstGuess.TotalSeconds : _serviceSeconds;
        return TimeSpan.FromSeconds(Math.Min(turns * service / _options.MaxRunning, 86_400));
    }

    private static string LaneName(Lane lane) => lane == Lane.Interactive ? "interactive" : "batch";
}
