namespace Fleet.Inference.Scheduling;

/// <summary>
/// One level's competitor in the fair queue: a lane, a tenant of a lane, or a user of a tenant. Virtual time is work divided by weight; the
/// competitor with the least goes first. Under the queue's lock.
/// </summary>
internal sealed class FairFlow(FairFlow? parent, string name, double weight)
{
    private Dictionary<string, FairFlow>? _children;
    private LinkedList<Sequence>? _queue;
    private double _activeWeight;
    private int _activations;

    public FairFlow? Parent { get; } = parent;

    public string Name { get; } = name;

    public double Weight { get; } = weight;

    /// <summary>Work done for this flow over its weight.</summary>
    public double Time { get; private set; }

    /// <summary>Where a flow that did nothing but take its fair part would stand; newcomers start here (Parekh, Gallager 1993).</summary>
    public double Virtual { get; private set; }

    /// <summary>Sequences that wait or run below.</summary>
    public int Active { get; private set; }

    /// <summary>Sequences that wait below.</summary>
    public int Waiting { get; private set; }

    public IEnumerable<FairFlow> Children => _children?.Values ?? Enumerable.Empty<FairFlow>();

    /// <summary>Of a user: first come, first served.</summary>
    public LinkedList<Sequence> Queue => _queue ??= new LinkedList<Sequence>();

    public FairFlow Child(string name, Func<double> weight)
    {
        _children ??= [];
        if (!_children.TryGetValue(name, out var child))
            _children.Add(name, child = new FairFlow(this, name, Math.Clamp(weight(), 1e-3, 1e6)));
        return child;
    }

    public FairFlow? Find(string name) => _children?.GetValueOrDefault(name);

    public void Enqueue(Sequence sequence, bool front)
    {
        if (front)
            Queue.AddFirst(sequence);
        else
            Queue.AddLast(sequence);
        for (var flow = this; flow is not null; flow = flow.Parent)
            flow.Waiting++;
    }

    public void Dequeue(Sequence sequence)
    {
        if (!Queue.Remove(sequence))
            throw new InvalidOperationException("The sequence does not wait.");
        for (var flow = this; flow is not null; flow = flow.Parent)
            flow.Waiting--;
    }

    /// <summary>A sequence comes in below.</summary>
    public void Enter()
    {
        for (var flow = this; flow is not null; flow = flow.Parent)
        {
            if (flow.Active++ > 0 || flow.Parent is not { } parent)
                continue;

            // Who was away saved nothing up, and keeps what it owes.
            flow.Time = Math.Max(flow.Time, parent.Virtual);
            parent._activeWeight += flow.Weight;
        }
    }

    /// <summary>A sequence below has ended.</summary>
    public void Leave()
    {
        for (var flow = this; flow is not null; flow = flow.Parent)
        {
            if (--flow.Active > 0 || flow.Parent is not { } parent)
                continue;

            parent._activeWeight -= flow.Weight;
            if (parent.Active == 1)
                parent.Forget();
            else if (flow.Time <= parent.Virtual)
                parent._children!.Remove(flow.Name);
            else if (++parent._activations % 64 == 0)
                parent.Sweep();
        }
    }

    public void Charge(double work)
    {
        for (var flow = this; flow.Parent is { } parent; flow = parent)
        {
            flow.Time += work / flow.Weight;
            parent.Virtual += work / Math.Max(parent._activeWeight, flow.Weight);
        }
    }

    /// <summary>The one to serve next below this flow; null when none waits.</summary>
    public Sequence? First()
    {
        var flow = this;
        while (flow._children is not null)
        {
            FairFlow? next = null;
            foreach (var child in flow._children.Values)
            {
                if (child.Waiting > 0 && (next is null || child.IsBefore(next)))
                    next = child;
            }

            if (next is null)
                return null;
            flow = next;
        }

        return flow._queue?.First?.Value;
    }

    private long Oldest => _queue?.First?.Value.Arrival
        ?? Children.Where(child => child.Waiting > 0).Select(child => child.Oldest).DefaultIfEmpty(long.MaxValue).Min();

    /// <summary>Less work done; with as much, less running now, so that a newcomer does not wait behind a crowd; then the longer wait.</summary>
    private bool IsBefore(FairFlow other)
    {
        if (Time != other.Time)
            return Time < other.Time;
        var (running, othersRunning) = (Active - Waiting, other.Active - other.Waiting);
        return running != othersRunning ? running < othersRunning : Oldest < other.Oldest;
    }

    // The last one left: a new busy period starts from nothing.
    private void Forget()
    {
        _children!.Clear();
        (Virtual, _activeWeight) = (0, 0);
    }

    // Debts that the others have caught up with are no debts any more.
    private void Sweep()
    {
        foreach (var child in _children!.Values.Where(child => child.Active == 0 && child.Time <= Virtual).ToList())
            _children.Remove(child.Name);
    }
}
