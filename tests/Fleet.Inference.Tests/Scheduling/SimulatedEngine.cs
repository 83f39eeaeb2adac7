using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

/// <summary>
/// The decode thread without a model: runs a scheduler on a <see cref="FakeKvCache"/>, step by step in simulated time, and checks after
/// every call what must always hold.
/// </summary>
internal sealed class SimulatedEngine
{
    private readonly HashSet<Sequence> _live = [];

    public SimulatedEngine(FakeKvCache kv, SchedulerOptions options)
    {
        (Kv, Options) = (kv, options);
        Scheduler = new Scheduler(kv, options);
    }

    public FakeKvCache Kv { get; }

    public SchedulerOptions Options { get; }

    public Scheduler Scheduler { get; }

    public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

    /// <summary>What the machine takes for a step.</summary>
    public Func<BatchPlan, TimeSpan> Cost { get; set; } = plan => TimeSpan.FromMilliseconds(2 + (2 * plan.DecodeTokens) + plan.PrefillTokens);

    /// <summary>Replies end after so many tokens.</summary>
    public Func<Sequence, int> Length { get; set; } = sequence => sequence.MaxTokens;

    /// <summary>Guesses for a decoding sequence, asked before each plan.</summary>
    public Func<Sequence, int[]>? Draft { get; set; }

    /// <summary>True: this plan fails in the decode, somewhere in the middle.</summary>
    public Func<BatchPlan, bool> Fails { get; set; } = static _ => false;

    public List<Sequence> Finished { get; } = [];

    public List<DroppedSequence> Dropped { get; } = [];

    /// <summary>In order; resumed ones again.</summary>
    public List<Sequence> Admitted { get; } = [];

    public Dictionary<Sequence, int> FirstProgress { get; } = [];

    public int Steps { get; private set; }

    /// <summary>Of <see cref="Steps"/>: rolled back.</summary>
    public int Failures { get; private set; }

    public BatchPlan? LastPlan { get; private set; }

    public Admission Enqueue(Sequence sequence)
    {
        var admission = Scheduler.Enqueue(sequence, Now);
        if (admission.Result == AdmissionResult.Accepted)
            _live.Add(sequence);
        return admission;
    }

    public int Live => _live.Count;

    public void Run(int maxSteps)
    {
        for (var i = 0; _live.Count > 0; i++)
        {
            Assert.True(i < maxSteps, "somebody starves");
            Step();
        }
    }

    /// <summary>False when there was nothing to compute.</summary>
    public bool Step()
    {
        foreach (var dropped in Scheduler.DropDead(Now))
        {
            Assert.True(_live.Remove(dropped.Sequence));
            Dropped.Add(dropped);
            Assert.Equal((SequenceStatus.Finished, -1), (dropped.Sequence.Status, dropped.Sequence.SequenceId));
        }

        Assert.True(_live.All(sequence => !sequence.Cancelled && !(sequence.Deadline <= Now)));
        Check();
        foreach (var sequence in Scheduler.Admit(Now))
        {
            Assert.Equal(SequenceStatus.Prefill, sequence.Status);
            Assert.True(sequence.ComputedTokens < sequence.Tokens.Count);
            Assert.True(sequence.CachedTokens < sequence.PromptTokens);
            if (sequence.BypassCache)
                Assert.Equal(0, sequence.ComputedTokens);
            Admitted.Add(sequence);
        }

        Check();
        if (Draft is not null)
        {
            foreach (var sequence in Scheduler.Running.Where(sequence => sequence.Status == SequenceStatus.Decode))
                sequence.Draft = Draft(sequence);
        }

        LastPlan = Scheduler.Plan();
        Check();
        if (LastPlan is not { } plan)
        {
            Assert.True(_live.All(sequence => sequence.Tokens.Count > Scheduler.MaxSequenceTokens), "all stand still");
            return false;
        }

        Steps++;
        CheckPlan(plan);
        var failing = Fails(plan) ? plan.TokenCount / 2 : -1;
        var (next, computed) = (new Dictionary<Sequence, List<int>>(), 0);
        foreach (var share in plan.Shares)
        {
            FirstProgress.TryAdd(share.Sequence, Steps);
            var rows = next[share.Sequence] = [];
            for (var i = 0; i < share.Count && computed != failing; i++, computed++)
            {
                var said = Kv.Compute(share.Sequence.SequenceId, share.Sequence.ComputedTokens + i, share.Token(i), Key(share.Sequence));
                if (share.Output(i))
                    rows.Add(said);
            }
        }

        var elapsed = Cost(plan);
        Now += elapsed;
        if (failing >= 0)
        {
            Failures++;
            Scheduler.Rollback(plan);
            Check();
            return true;
        }

        Scheduler.Computed(plan, elapsed);
        foreach (var share in plan.Shares)
        {
            Assert.Equal(share.Outputs, next[share.Sequence].Count);
            if (share.Outputs > 0)
                Sample(share, next[share.Sequence]);
        }

        Check();
        return true;
    }

    private void Sample(BatchShare share, List<int> rows)
    {
        var (sequence, draft, accepted) = (share.Sequence, share.Sequence.Draft, 0);
        for (var row = 0; row < rows.Count; row++)
        {
            sequence.Append(rows[row]);
            if (sequence.GeneratedTokens >= Length(sequence))
            {
                // The reply ends on a row: the drafts after it are nobody's.
                Scheduler.Finish(sequence, keep: true);
                Finish(sequence);
                return;
            }

            if (row >= share.Drafts || draft[row] != rows[row])
                break;
            accepted++;
        }

        if (share.Drafts > 0)
            Scheduler.Accept(sequence, accepted);
        Assert.Equal(sequence.Tokens.Count - 1, sequence.ComputedTokens);
    }

    private void Finish(Sequence sequence)
    {
        Assert.True(_live.Remove(sequence));
        Finished.Add(sequence);
        Assert.Throws<InvalidOperationException>(() => Scheduler.Finish(sequence, keep: true));
        CheckTokens(sequence);
    }

    /// <summary>Whatever happened on the way, the reply is the one an undisturbed run gives.</summary>
    public static void CheckTokens(Sequence sequence)
    {
        var kv = new FakeKvCache(sequence.Tokens.Count, 1, unified: true);
        for (var i = 0; i < sequence.Tokens.Count - 1; i++)
        {
            var said = kv.Compute(0, i, sequence.Tokens[i], default);
            if (i >= sequence.PromptTokens - 1 && said != sequence.Tokens[i + 1])
                Assert.Fail($"token {i + 1} is another than in an undisturbed run");
        }
    }

    private void CheckPlan(BatchPlan plan)
    {
        Assert.InRange(plan.TokenCount, 1, Options.BatchTokens);
        Assert.Equal(plan.TokenCount, plan.Shares.Sum(share => share.Count));
        Assert.Equal(plan.Shares.Count, plan.Shares.Select(share => share.Sequence).Distinct().Count());
        if (Kv.Unified)
            Assert.True(Kv.Used + plan.TokenCount <= Kv.Cells, "the plan needs more cells than are free");

        var row = 0;
        foreach (var share in plan.Shares)
        {
            var sequence = share.Sequence;
            Assert.Equal(plan.AdapterKey, sequence.AdapterKey);
            Assert.True(share.Count - share.Drafts > 0 && sequence.ComputedTokens + share.Count <= Scheduler.MaxSequenceTokens);
            Assert.Equal(sequence.ComputedTokens + share.Count - share.Drafts == sequence.Tokens.Count, share.OutputIndex >= 0);
            Assert.True(share.OutputIndex < 0 || share.OutputIndex == row + share.Count - share.Drafts - 1);
            Assert.True(share.Drafts == 0 || sequence.Status == SequenceStatus.Decode);
            row += share.Count;
        }

        // Every reply of the step's adapters goes on.
        var planned = plan.Shares.Select(share => share.Sequence).ToHashSet();
        Assert.True(Scheduler.Running.Where(sequence => sequence.Status == SequenceStatus.Decode && sequence.AdapterKey == plan.AdapterKey
            && sequence.Tokens.Count <= Scheduler.MaxSequenceTokens).All(planned.Contains), "a reply stands still");
    }

    /// <summary>The scheduler's picture of the cache is the cache.</summary>
    public void Check()
    {
        var running = Scheduler.Running.Where(sequence => sequence.SequenceId >= 0).ToList();
        Assert.InRange(Scheduler.Running.Count, 0, Options.MaxRunning);
        var ids = running.Select(sequence => sequence.SequenceId).ToHashSet();
        Assert.Equal(running.Count, ids.Count);
        foreach (var sequence in running)
        {
            Assert.True(Kv.Holds(sequence.SequenceId, sequence.Tokens.Take(sequence.ComputedTokens), Key(sequence)), "the cache does not hold the sequence");
        }

        for (var id = 0; id < Kv.Sequences; id++)
            Assert.True(Scheduler.Cache.Length(id) == Kv.Length(id));
        Assert.Equal(Kv.Used, Scheduler.UsedCells);
        Assert.Equal(Kv.CellsUsedBy(ids), (Scheduler.Cache.CachedCells, Scheduler.Cache.SharedCells));
        Assert.Equal(Enumerable.Range(0, Kv.Sequences).Count(id => !ids.Contains(id) && Kv.Length(id) > 0), Scheduler.Cache.IdleEntries);
        Assert.Equal(_live.Count, Scheduler.Running.Count + Scheduler.Queue.Count);
    }

    /// <summary>All is over: nothing but cached prefixes is left, and clearing them leaves nothing.</summary>
    public void CheckEnd()
    {
        Assert.Empty(Scheduler.Running);
        Assert.Equal(0, Scheduler.Queue.Count);
        Assert.Equal(Kv.Used, Scheduler.Cache.CachedCells);
        Scheduler.Cache.Clear();
        Assert.Equal(0, Kv.Used);
        Assert.Equal(Kv.Allocated, Kv.Freed);
        Assert.Equal(Kv.Sequences, Scheduler.Cache.FreeSequences);
        Assert.Equal((0, 0, 0), (Scheduler.UsedCells, Scheduler.Cache.CachedCells, Scheduler.Cache.IdleEntries));
    }

    private static PrefixKey Key(Sequence sequence) =>
        sequence.BypassCache ? new PrefixKey($"only {sequence.GetHashCode()}", "") : new PrefixKey(sequence.TenantId, sequence.AdapterKey);
}
