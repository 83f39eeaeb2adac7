using Fleet.Inference.Engine;

namespace Fleet.Inference.Scheduling;

/// <summary>
/// Decides what runs and what each decode computes. Pure: no model, no clock, no threads of its own. The decode thread repeats
/// <see cref="DropDead"/>, <see cref="Admit"/>, <see cref="Plan"/>, decode, <see cref="Computed"/>, and for every share with output
/// <see cref="Sequence.Append"/> and, with drafts, <see cref="Accept"/>. Only <see cref="Enqueue"/> may be called by other threads.
/// <para>
/// Every decoding reply advances in every step of its adapter set; prompts share what the step's time budget leaves. Cells are found by
/// evicting cached prefixes, then by preempting: the least urgent, then latest sequence goes back to its user's queue, and what the cache
/// keeps of it is not computed again.
/// </para>
/// </summary>
internal sealed class Scheduler
{
    // A sequence that lost its cells so often is preempted only after all others.
    private const int MaxPreemptions = 3;

    // Of a lane's prompt tokens in a step: one part of so many goes to the oldest prompt, the rest to the ones soonest done.
    private const int OldestPart = 4;

    private readonly IKvCache _kv;
    private readonly SchedulerOptions _options;
    private readonly List<Sequence> _running = [];
    private readonly Dictionary<string, long> _adapterServed = [];
    private DateTimeOffset _now;
    private long _admissions;
    private int _draftCells;

    public Scheduler(IKvCache kv, SchedulerOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRunning, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MaxRunning, kv.Sequences);
        // With room for one prompt token beside a full house, every prompt moves.
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.BatchTokens, options.MaxRunning);
        (_kv, _options) = (kv, options);

        var perSequence = kv.Unified ? kv.Cells : kv.Cells / kv.Sequences;
        MaxSequenceTokens = options.MaxSequenceTokens > 0 ? Math.Min(options.MaxSequenceTokens, perSequence) : perSequence;
        Cache = new PrefixCache(kv, options.SharePrefixes, options.MinSharedTokens);
        Queue = new FairQueue(options);
        Budget = new StepBudget(options.MaxStep, options.MinChunk, options.BatchTokens);
    }

    /// <summary>Positions one sequence can reach; a longer prompt is refused.</summary>
    public int MaxSequenceTokens { get; }

    public PrefixCache Cache { get; }

    public FairQueue Queue { get; }

    public StepBudget Budget { get; }

    public SchedulerCounters Counters { get; } = new();

    /// <summary>Threads the next step runs with: the budget learns them apart.</summary>
    public int Threads { get; set; } = 1;

    /// <summary>Admitted and not ended, held ones included, in order of admission.</summary>
    public IReadOnlyList<Sequence> Running => _running;

    /// <summary>Cells in use: the cache's, and drafts not yet judged.</summary>
    public int UsedCells => Cache.UsedCells + _draftCells;

    /// <summary>Adds a request to the queue or says why not. From any thread.</summary>
    public Admission Enqueue(Sequence sequence, DateTimeOffset now)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sequence.PromptTokens);
        if (sequence.PromptTokens > MaxSequenceTokens)
            return new Admission(AdmissionResult.TooLong, Queue.Count, _running.Count, TimeSpan.Zero);
        return Queue.TryAdd(sequence, now);
    }

    /// <summary>
    /// Ends what was cancelled, is past its deadline or has no room to grow, waiting or running, and hands it back. What running ones
    /// computed stays for others.
    /// </summary>
    public IReadOnlyList<DroppedSequence> DropDead(DateTimeOffset now)
    {
        _now = now;
        var dropped = Queue.RemoveDead(now);
        foreach (var (sequence, _) in dropped)
            sequence.Finish();

        for (var i = _running.Count - 1; i >= 0; i--)
        {
            var sequence = _running[i];
            DropReason? reason = sequence.Cancelled ? DropReason.Cancelled
                : sequence.Deadline <= now ? DropReason.DeadlinePassed
                : sequence.Tokens.Count > MaxSequenceTokens ? DropReason.OutOfRoom
                : null;
            if (reason is not { } why)
                continue;
            End(sequence, keep: true, counts: false);
            dropped.Add(new DroppedSequence(sequence, why));
        }

        Counters.Dropped += dropped.Count;
        return dropped;
    }

    /// <summary>
    /// Gives those whose turn it is a native sequence with whatever the cache has of their tokens. Returns the ones that got theirs now,
    /// resumed ones (<see cref="Sequence.Preemptions"/> above 0) included; held ones are returned once they start.
    /// </summary>
    public IReadOnlyList<Sequence> Admit(DateTimeOffset now)
    {
        _now = now;
        SettleDrafts();
        List<Sequence>? admitted = null;
        foreach (var sequence in _running)
        {
            if (sequence.Status == SequenceStatus.Held && !IsWaitingForDonor(sequence) && TryStart(sequence))
                (admitted ??= []).Add(sequence);
        }

        while (Queue.Peek() is { } next)
        {
            // What somebody is computing right now is waited for among the running, so that those behind it are not kept waiting too.
            var donor = FindDonor(next, out var promised);
            if (donor is null && !Fits(next, MatchOf(next)))
                break;
            if (_running.Count >= _options.MaxRunning && !TryMakePlaceFor(next, donor, admitted))
                break;

            Queue.Take(next);
            next.Admission = ++_admissions;
            _running.Add(next);
            if (donor is not null)
            {
                Hold(next, donor, promised);
                continue;
            }

            Start(next);
            (admitted ??= []).Add(next);
        }

        TrimCache();
        return admitted ?? (IReadOnlyList<Sequence>)[];
    }

    /// <summary>The next step, or null when nothing runs. May preempt; see <see cref="Sequence.Status"/>.</summary>
    public BatchPlan? Plan()
    {
        SettleDrafts();
        while (NextAdapterKey() is { } key)
        {
            if (TryPlan(key) is not { } plan)
                continue;
            if (plan.TokenCount == 0)
                return null;
            _adapterServed[key] = Counters.Steps;
            return plan;
        }

        return null;
    }

    /// <summary>The plan was computed: the cache holds its tokens now, drafts until <see cref="Accept"/> only on trial.</summary>
    public void Computed(BatchPlan plan, TimeSpan elapsed)
    {
        foreach (var share in plan.Shares)
        {
            var (sequence, own) = (share.Sequence, share.Count - share.Drafts);
            var decoding = sequence.Status == SequenceStatus.Decode;
            Cache.Extend(sequence.SequenceId, sequence.TokenSpan.Slice(sequence.ComputedTokens, own));
            sequence.Computed(own);
            if (share.Drafts == 0)
                sequence.ClearDraft();
            sequence.PendingDraft = share.Drafts;
            _draftCells += share.Drafts;
            Charge(sequence);
            if (decoding)
                Counters.DecodeTokens += own;
            else
                Counters.PrefillTokens += own;
        }

        Counters.Steps++;
        Counters.DraftedTokens += plan.DraftTokens;
        Counters.BatchOccupancy += 0.1 * (((double)plan.TokenCount / _options.BatchTokens) - Counters.BatchOccupancy);
        Budget.Record(Threads, plan.DecodeTokens, plan.PrefillTokens, elapsed);
    }

    /// <summary>
    /// The decode of a plan failed or was aborted; <see cref="Computed"/> is not called for it. Whatever of it reached the cache is cut away
    /// again, and every sequence is where it was.
    /// </summary>
    public void Rollback(BatchPlan plan)
    {
        foreach (var share in plan.Shares)
        {
            if (share.Sequence.SequenceId >= 0)
                _kv.Truncate(share.Sequence.SequenceId, share.Sequence.ComputedTokens);
            share.Sequence.ClearDraft();
        }
    }

    /// <summary>
    /// Judges the drafts of a sequence's last share: the first <paramref name="accepted"/> of them were drawn and appended, the others leave
    /// the cache. At least one token more was appended, so the newest is not computed. Not called means none.
    /// </summary>
    public void Accept(Sequence sequence, int accepted)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(accepted);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(accepted, sequence.PendingDraft);
        var pending = sequence.PendingDraft;
        if (pending == 0)
            return;

        var drawn = sequence.TokenSpan[sequence.ComputedTokens..];
        if (drawn.Length <= accepted)
            throw new InvalidOperationException("The token after the accepted drafts was not appended.");
        for (var i = 0; i < accepted; i++)
        {
            if (drawn[i] != sequence.Draft[i])
                throw new InvalidOperationException("An accepted draft is not the token that was appended.");
        }

        _draftCells -= pending;
        if (accepted < pending)
            _kv.Truncate(sequence.SequenceId, sequence.ComputedTokens + accepted);
        Cache.Extend(sequence.SequenceId, drawn[..accepted]);
        sequence.Computed(accepted);
        sequence.ClearDraft();
        Charge(sequence);
        Counters.AcceptedTokens += accepted;
        Counters.DecodeTokens += accepted;
    }

    /// <summary>Ends a running sequence. Exactly once: a second time throws.</summary>
    /// <param name="keep">Leaves what it computed to later requests; false when the cells may be wrong.</param>
    public void Finish(Sequence sequence, bool keep)
    {
        End(sequence, keep, counts: true);
        Counters.Finished++;
    }

    /// <summary>The engine stops: ends everything, waiting and running, and hands it back. No more requests are taken.</summary>
    public IReadOnlyList<Sequence> Close()
    {
        List<Sequence> all = [.. Queue.Close()];
        all.ForEach(sequence => sequence.Finish());
        foreach (var sequence in _running.ToArray())
        {
            End(sequence, keep: false, counts: false);
            all.Add(sequence);
        }

        Cache.Clear();
        return all;
    }

    // Admission.

    private static PrefixKey KeyOf(Sequence sequence) => new(sequence.TenantId, sequence.AdapterKey);

    // The newest token is always computed: its logits are what the sequence goes on with.
    private PrefixMatch MatchOf(Sequence sequence) =>
        sequence.BypassCache ? PrefixMatch.None : Cache.Match(KeyOf(sequence), sequence.TokenSpan, sequence.Tokens.Count - 1);

    private bool TryStart(Sequence held)
    {
        if (FindDonor(held, out var promised) is { } donor)
        {
            Hold(held, donor, promised);
            return false;
        }

        if (!Fits(held, MatchOf(held)))
            return false;
        Start(held);
        return true;
    }

    private void Start(Sequence sequence)
    {
        var match = MatchOf(sequence);
        var first = !sequence.WasAdmitted;
        sequence.Start(Cache.Acquire(KeyOf(sequence), match, sequence.BypassCache), match.Length);
        sequence.AdmittedAt = first ? _now : sequence.AdmittedAt;
        if (!first)
            return;

        // The whole prompt at once, so that a user's burst does not look cheap until it is computed.
        sequence.ChargedTokens = sequence.PromptTokens;
        Queue.Charge(sequence, Math.Max(1, sequence.PromptTokens - sequence.CachedTokens));
        Counters.Admitted++;
        Counters.PromptTokens += sequence.PromptTokens;
        Counters.CachedTokens += sequence.CachedTokens;
    }

    private void Hold(Sequence sequence, Sequence donor, int promised)
    {
        if (sequence.Status != SequenceStatus.Held)
            Counters.Held++;
        sequence.Hold(donor, promised);
        if (sequence.EffectiveLane != Lane.Interactive)
            return;

        // Whoever it waits for, and whom those wait for, is as urgent.
        for (var held = sequence; IsWaitingForDonor(held); held = held.Donor!)
            held.Donor!.Urgency = Lane.Interactive;
    }

    private static bool IsWaitingForDonor(Sequence held) =>
        held.Donor is { Status: SequenceStatus.Prefill or SequenceStatus.Held } donor && donor.ComputedTokens < held.Promised
        // One that was preempted and came back may itself be waiting for this one.
        && donor.Admission < held.Admission;

    /// <summary>
    /// A sequence admitted earlier that is going to compute more of these tokens than the cache has now. Waiting is never dearer than
    /// computing the same beside it; earlier only, so that nobody waits in a circle.
    /// </summary>
    private Sequence? FindDonor(Sequence sequence, out int promised)
    {
        promised = 0;
        if (!_options.SharePrefixes || sequence.BypassCache)
            return null;

        Sequence? best = null;
        foreach (var other in _running)
        {
            if (other == sequence || (sequence.Admission > 0 && sequence.Status == SequenceStatus.Held && other.Admission >= sequence.Admission))
                continue;
            if (other.Status is not (SequenceStatus.Prefill or SequenceStatus.Held) || other.BypassCache || KeyOf(other) != KeyOf(sequence))
                continue;
            var common = Math.Min(other.TokenSpan.CommonPrefixLength(sequence.TokenSpan), sequence.Tokens.Count - 1);
            if (common > promised && common > other.ComputedTokens)
                (best, promised) = (other, common);
        }

        return best is not null && promised >= MatchOf(sequence).Length + _options.MinSharedTokens ? best : null;
    }

    /// <summary>
    /// Whether the tokens to compute, and those that started ones have still to compute, find cells without preempting anybody. One that
    /// runs alone always fits.
    /// </summary>
    private bool Fits(Sequence sequence, PrefixMatch match)
    {
        if (!_kv.Unified)
            return true;

        var (promised, started) = (0, 0);
        foreach (var other in _running)
        {
            if (other.SequenceId < 0)
                continue;
            promised += other.Tokens.Count - other.ComputedTokens;
            started++;
        }

        if (started == 0)
            return true;

        // Room for a few tokens of everybody, or the newcomer would be the next to be preempted.
        var headroom = Math.Min(_kv.Cells / 16, 8 * (started + 1));
        var available = _kv.Cells - UsedCells + Cache.CachedCells - PrefixCache.IdleCells(match);
        return sequence.Tokens.Count - match.Length + promised + headroom <= available;
    }

    /// <summary>Interactive work whose turn it is does not wait for batch work to end.</summary>
    private bool TryMakePlaceFor(Sequence next, Sequence? donor, List<Sequence>? justAdmitted)
    {
        if (next.Lane != Lane.Interactive)
            return false;
        var victim = _running
            .Where(sequence => sequence is { EffectiveLane: Lane.Batch, Preemptions: < MaxPreemptions, SequenceId: >= 0 }
                && sequence != donor && justAdmitted?.Contains(sequence) != true)
            .MaxBy(sequence => sequence.Admission);
        if (victim is null)
            return false;
        Preempt(victim);
        return true;
    }

    private void TrimCache()
    {
        if (_options.MaxCachedCells > 0 && Cache.CachedCells > _options.MaxCachedCells)
            Cache.Evict(Cache.CachedCells - _options.MaxCachedCells);
    }

    // Planning.

    /// <summary>The adapter set among those that can work whose last step is longest ago.</summary>
    private string? NextAdapterKey()
    {
        string? next = null;
        var oldest = long.MaxValue;
        foreach (var sequence in _running)
        {
            if (!CanWork(sequence))
                continue;
            var served = _adapterServed.GetValueOrDefault(sequence.AdapterKey, -1);
            if (served < oldest)
                (next, oldest) = (sequence.AdapterKey, served);
        }

        if (_adapterServed.Count > 64)
            _adapterServed.Clear();
        return next;
    }

    private bool CanWork(Sequence sequence) => sequence.SequenceId >= 0 && sequence.Tokens.Count <= MaxSequenceTokens;

    /// <summary>Null when somebody was preempted and all must be thought over.</summary>
    private BatchPlan? TryPlan(string key)
    {
        var plan = new BatchPlan(key);
        List<Sequence> decoding = [], prompts = [];
        foreach (var sequence in _running)
        {
            if (CanWork(sequence) && sequence.AdapterKey == key)
                (sequence.Status == SequenceStatus.Decode ? decoding : prompts).Add(sequence);
        }

        // 1. Every reply goes on, usually by one token; tokens somebody forced on it come in chunks if they must.
        var reserve = prompts.Count > 0 ? 1 : 0;
        var others = decoding.Count;
        var needed = 0;
        var counts = new int[decoding.Count];
        for (var i = 0; i < decoding.Count; i++)
        {
            others--;
            counts[i] = Math.Min(decoding[i].Tokens.Count - decoding[i].ComputedTokens, _options.BatchTokens - reserve - needed - others);
            needed += counts[i];
        }

        if (!EnsureFree(needed))
        {
            Preempt(Victim());
            return null;
        }

        // 2. Drafts, as far as they fit into free cells and leave prompts their least chunk.
        var room = _options.BatchTokens - needed - (prompts.Count > 0 ? _options.MinChunk : 0);
        for (var i = 0; i < decoding.Count; i++)
        {
            var sequence = decoding[i];
            var drafts = sequence.Draft.Count;
            if (drafts > 0)
            {
                var reaches = sequence.ComputedTokens + counts[i] == sequence.Tokens.Count;
                drafts = !reaches ? 0 : Math.Clamp(Math.Min(drafts, MaxSequenceTokens - sequence.Tokens.Count), 0, Math.Max(0, room));
                if (_kv.Unified)
                    drafts = Math.Min(drafts, Math.Max(0, _kv.Cells - UsedCells - needed));
                (room, needed) = (room - drafts, needed + drafts);
            }

            plan.Add(sequence, counts[i], drafts);
        }

        // 3. Prompts within the time budget.
        if (prompts.Count == 0)
            return plan;
        var budget = Budget.PrefillTokens(Threads, plan.TokenCount, decoding.Count);
        foreach (var (sequence, wanted) in Chunks(prompts, budget))
        {
            var count = wanted;
            if (!EnsureFree(plan.TokenCount + count))
                count = Math.Min(count, _kv.Cells - UsedCells - plan.TokenCount);
            if (count > 0)
                plan.Add(sequence, count);
        }

        if (plan.TokenCount > 0)
            return plan;
        Preempt(Victim());
        return null;
    }

    /// <summary>
    /// Divides the budget: between lanes by weight, within a lane a part for the oldest prompt, so that none starves, and the rest to those
    /// soonest done, so that a short question does not wait for a long document.
    /// </summary>
    private List<(Sequence Sequence, int Count)> Chunks(List<Sequence> prompts, int budget)
    {
        var interactive = prompts.FindAll(sequence => sequence.EffectiveLane == Lane.Interactive);
        var batch = prompts.FindAll(sequence => sequence.EffectiveLane != Lane.Interactive);
        var forBatch = interactive.Count == 0 ? budget
            : batch.Count == 0 ? 0
            : Math.Max(Math.Min(1, budget - 1), (int)(budget / (1 + _options.InteractiveWeight)));

        var chunks = new List<(Sequence Sequence, int Count)>();
        var left = Divide(interactive, budget - forBatch, chunks);
        Divide(batch, forBatch + left, chunks);
        return chunks;
    }

    private static int Divide(List<Sequence> prompts, int budget, List<(Sequence Sequence, int Count)> chunks)
    {
        if (prompts.Count == 0 || budget <= 0)
            return budget;

        var oldest = prompts.MinBy(sequence => sequence.Admission)!;
        var part = Math.Min(Remaining(oldest), Math.Max(1, budget / OldestPart));
        budget -= part;
        foreach (var sequence in prompts.OrderBy(Remaining).ThenBy(sequence => sequence.Admission))
        {
            var own = sequence == oldest ? part : 0;
            var count = Math.Min(Remaining(sequence), own + budget);
            budget -= count - own;
            if (count > 0)
                chunks.Add((sequence, count));
        }

        return budget;
    }

    private static int Remaining(Sequence sequence) => sequence.Tokens.Count - sequence.ComputedTokens;

    private bool EnsureFree(int cells)
    {
        if (!_kv.Unified)
            return true;
        var missing = cells - (_kv.Cells - UsedCells);
        return missing <= 0 || Cache.Evict(missing);
    }

    private Sequence Victim() => _running.Where(sequence => sequence.SequenceId >= 0)
        .OrderBy(sequence => sequence.Preemptions >= MaxPreemptions)
        .ThenBy(sequence => sequence.EffectiveLane == Lane.Interactive)
        .ThenByDescending(sequence => sequence.Arrival)
        .First();

    private void Preempt(Sequence sequence)
    {
        Cache.Release(sequence.SequenceId, keep: !sequence.BypassCache);
        sequence.Preempt();
        _running.Remove(sequence);
        Queue.PutBack(sequence);
        Counters.Preemptions++;
    }

    // Ends and accounts.

    private void End(Sequence sequence, bool keep, bool counts)
    {
        if (!_running.Remove(sequence))
            throw new InvalidOperationException($"The sequence does not run; it is {sequence.Status}.");

        if (sequence.SequenceId >= 0)
        {
            Settle(sequence);
            Cache.Release(sequence.SequenceId, keep && !sequence.BypassCache);
        }

        // What was charged for a prompt and never computed is given back.
        if (sequence.WasAdmitted && sequence.ComputedTokens < sequence.PromptTokens && sequence.Preemptions == 0)
            Queue.Charge(sequence, sequence.ComputedTokens - sequence.PromptTokens);
        Queue.Release(sequence, counts ? _now - sequence.AdmittedAt : null);
        sequence.Finish();
    }

    private void SettleDrafts()
    {
        if (_draftCells == 0)
            return;
        foreach (var sequence in _running)
            Settle(sequence);
    }

    private void Settle(Sequence sequence)
    {
        if (sequence.PendingDraft == 0)
            return;
        _draftCells -= sequence.PendingDraft;
        _kv.Truncate(sequence.SequenceId, sequence.ComputedTokens);
        sequence.ClearDraft();
    }

    private void Charge(Sequence sequence)
    {
        var tokens = sequence.ComputedTokens - sequence.ChargedTokens;
        if (tokens <= 0)
            return;
        sequence.ChargedTokens = sequence.ComputedTokens;
        Queue.Charge(sequence, tokens);
    }
}
