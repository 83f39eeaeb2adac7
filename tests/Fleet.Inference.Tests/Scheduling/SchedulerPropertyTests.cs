using Fleet.Inference.Engine;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

/// <summary>Random traffic under every kind of pressure; <see cref="SimulatedEngine"/> checks the invariants after every call.</summary>
public sealed class SchedulerPropertyTests
{
    private const int Workloads = 1200;

    // What the workloads made happen: a test in which nobody is preempted says nothing about preemption.
    private long _preemptions, _held, _cached, _accepted, _rejected;

    [Fact]
    public void RandomTraffic_UnifiedCache_KeepsEveryInvariant()
    {
        Parallel.For(0, Workloads, seed => Seeded(seed, unified: true));

        Assert.All([_preemptions, _held, _cached, _accepted, _rejected], count => Assert.True(count > Workloads / 5));
    }


    [Fact]
    public void RandomTraffic_SeparateCaches_KeepsEveryInvariant() =>
        Parallel.For(1_000_000, 1_000_000 + (Workloads / 2), seed => Seeded(seed, unified: false));

    private void Seeded(int seed, bool unified)
    {
        try
        {
            Simulate(new Random(seed), unified);
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"Seed {seed} failed.", exception);
        }
    }

    private void Simulate(Random random, bool unified)
    {
        var sequences = random.Next(1, 12);
        var running = random.Next(1, sequences + 1);
        var perSequence = random.Next(24, 120);
        var cells = unified ? random.Next(perSequence / 2, (perSequence * sequences) + 1) : perSequence * sequences;
        var options = new SchedulerOptions
        {
            MaxRunning = running,
            BatchTokens = running + random.Next(1, 48),
            MaxSequenceTokens = random.Next(2) == 0 ? 0 : random.Next(16, perSequence),
            MaxQueued = random.Next(1, 60),
            MaxStep = TimeSpan.FromMilliseconds(random.Next(5, 60)),
            MinChunk = random.Next(1, 17),
            MinSharedTokens = random.Next(1, 20),
            SharePrefixes = random.Next(8) > 0,
            MaxCachedCells = random.Next(3) == 0 ? random.Next(1, cells) : 0,
        };
        var engine = new SimulatedEngine(new FakeKvCache(cells, sequences, unified), options);
        var failures = random.Next(4) == 0 ? 0.05 : 0;
        engine.Fails = _ => random.NextDouble() < failures;
        if (random.Next(2) == 0)
            engine.Draft = sequence => Guess(sequence, random);

        var prefixes = Enumerable.Range(0, 4).Select(_ => Enumerable.Range(0, random.Next(1, perSequence)).Select(_ => random.Next(50)).ToArray()).ToArray();
        var tenants = random.Next(1, 4);
        var adapters = random.Next(3) == 0 ? 3 : 1;
        var requests = random.Next(1, 40);
        var (sent, accepted, all) = (0, 0, new List<Sequence>());
        for (var step = 0; sent < requests || engine.Live > 0; step++)
        {
            Assert.True(step < 5_000, "somebody starves");
            for (var burst = random.Next(4) == 0 ? random.Next(6) : 0; burst > 0 && sent < requests; burst--, sent++)
            {
                var sequence = Request(engine, random, prefixes, all, tenants, adapters);
                var admission = engine.Enqueue(sequence);
                if (admission.Result == AdmissionResult.Accepted)
                {
                    accepted++;
                    all.Add(sequence);
                }
                else
                {
                    Assert.NotEqual(AdmissionResult.Closed, admission.Result);
                    Assert.Equal(admission.Result == AdmissionResult.TooLong, sequence.PromptTokens > engine.Scheduler.MaxSequenceTokens);
                    if (admission.Result == AdmissionResult.QueueFull)
                        Assert.Equal(running + options.MaxQueued, admission.Queued + admission.Running);
                }
            }

            foreach (var sequence in all)
            {
                if (random.Next(400) == 0)
                    sequence.Cancel();
            }

            if (!engine.Step())
                engine.Now += TimeSpan.FromMilliseconds(1);
        }

        Assert.Equal(accepted, engine.Finished.Count + engine.Dropped.Count);
        foreach (var (sequence, reason) in engine.Dropped)
        {
            SimulatedEngine.CheckTokens(sequence);
            Assert.True(reason switch
            {
                DropReason.Cancelled => sequence.Cancelled,
                DropReason.DeadlinePassed => sequence.Deadline <= engine.Now,
                _ => sequence.Tokens.Count == engine.Scheduler.MaxSequenceTokens + 1,
            });
        }

        CheckOrder(all);
        var counters = engine.Scheduler.Counters;
        Interlocked.Add(ref _preemptions, counters.Preemptions);
        Interlocked.Add(ref _held, counters.Held);
        Interlocked.Add(ref _cached, counters.CachedTokens);
        Interlocked.Add(ref _accepted, counters.AcceptedTokens);
        Interlocked.Add(ref _rejected, counters.DraftedTokens - counters.AcceptedTokens);
        Assert.Equal(accepted, counters.Finished + counters.Dropped);
        Assert.Equal(engine.Steps - engine.Failures, counters.Steps);
        engine.CheckEnd();
    }

    // First come, first served within a user and lane: first admissions are in order of arrival, held ones excepted, which have their place
    // but start when their donor is far enough.
    private static void CheckOrder(List<Sequence> all)
    {
        foreach (var user in all.Where(sequence => sequence.Admission > 0 && sequence.Preemptions == 0).GroupBy(sequence => (sequence.TenantId, sequence.UserId, sequence.Lane)))
        {
            var admissions = user.OrderBy(sequence => sequence.Arrival).Select(sequence => sequence.Admission).ToList();
            Assert.Equal(admissions.Order(), admissions);
        }
    }

    private static Sequence Request(SimulatedEngine engine, Random random, int[][] prefixes, List<Sequence> earlier, int tenants, int adapters)
    {
        // A shared prefix, or the conversation so far, and something new.
        var prefix = prefixes[random.Next(prefixes.Length)];
        IEnumerable<int> prompt = prefix.Take(random.Next(prefix.Length + 1));
        var tenant = $"t{random.Next(tenants)}";
        if (earlier.Count > 0 && random.Next(3) == 0)
        {
            var turn = earlier[random.Next(earlier.Count)];
            prompt = turn.Tokens.ToArray();
            if (random.Next(3) > 0)
                tenant = turn.TenantId;
        }

        var fresh = Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(50)).ToArray();
        int[] tokens = [.. prompt, .. fresh];
        return new Sequence(tokens.Length == 0 ? [1] : tokens)
        {
            TenantId = tenant,
            UserId = random.Next(4) == 0 ? "" : $"u{random.Next(3)}",
            Lane = random.Next(3) == 0 ? Lane.Batch : Lane.Interactive,
            AdapterKey = random.Next(adapters) == 0 ? "" : $"a{random.Next(adapters)}",
            BypassCache = random.Next(12) == 0,
            MaxTokens = random.Next(1, 40),
            Arrived = engine.Now,
            Deadline = random.Next(8) == 0 ? engine.Now + TimeSpan.FromMilliseconds(random.Next(2000)) : null,
        };
    }

    /// <summary>Right guesses first, then perhaps a wrong one, then anything.</summary>
    private static int[] Guess(Sequence sequence, Random random)
    {
        var tokens = sequence.Tokens.ToList();
        var draft = new int[random.Next(6)];
        var wrongFrom = random.Next(8);
        for (var i = 0; i < draft.Length; i++)
        {
            draft[i] = i < wrongFrom ? FakeKvCache.FirstToken(tokens) : random.Next(50);
            tokens.Add(draft[i]);
        }

        return draft;
    }
}
