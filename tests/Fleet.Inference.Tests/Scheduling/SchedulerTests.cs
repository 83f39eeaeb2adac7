using Fleet.Inference.Engine;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class SchedulerTests
{
    [Fact]
    public void Plan_LongPromptBesideRunningReply_NeverStallsTheReply()
    {
        var engine = Engine(cells: 4000, batch: 256, maxStep: 50);
        var reply = Request(3, maxTokens: 500);
        engine.Enqueue(reply);
        while (reply.GeneratedTokens < 30)
            engine.Step();
        engine.Enqueue(Request(2000, from: 100, maxTokens: 1));

        // Two chunks are the guess before the first prompt beside a reply was measured.
        for (var i = 0; i < 15; i++)
        {
            var (before, length) = (engine.Now, reply.GeneratedTokens);
            engine.Step();

            Assert.Equal(length + 1, reply.GeneratedTokens);
            Assert.InRange((engine.Now - before).TotalMilliseconds, 16, 60);
        }
    }

    [Fact]
    public void Plan_NobodyDecodes_FillsTheBatchWithPrompt()
    {
        var engine = Engine(cells: 4000, batch: 256);
        engine.Enqueue(Request(1000, maxTokens: 1));
        engine.Step();

        Assert.Equal((256, 256), (engine.LastPlan!.TokenCount, engine.LastPlan.PrefillTokens));
    }

    [Fact]
    public void Plan_ShortQuestionBehindALongDocument_StartsSoonAndTheDocumentGoesOn()
    {
        var engine = Engine(cells: 20_000, batch: 64);
        var document = Request(5000, maxTokens: 1);
        engine.Enqueue(document);
        engine.Step();
        var question = Request(40, from: 6000, maxTokens: 1);
        engine.Enqueue(question);
        engine.Step();
        Assert.Equal(SequenceStatus.Finished, question.Status);

        // A stream of short questions holds the document up, but a quarter of every step is its.
        for (var i = 0; i < 100; i++)
        {
            var before = document.ComputedTokens;
            for (var j = 0; j < 3; j++)
                engine.Enqueue(Request(40, from: 7000 + (100 * ((3 * i) + j)), maxTokens: 1));
            engine.Step();
            Assert.True(document.ComputedTokens - before >= 16);
        }
    }

    [Fact]
    public void Admit_ManyWithTheSamePrefixAtOnce_ComputeItOnce()
    {
        var engine = Engine(cells: 4000, batch: 64);
        var requests = Enumerable.Range(0, 8).Select(i => Request(300, extra: [900 + i, 901, 902], maxTokens: 2)).ToList();
        requests.ForEach(request => engine.Enqueue(request));

        engine.Run(100);

        // The prefix once, then each its own three tokens and the first generated one; the second is never computed.
        Assert.Equal(300 + (8 * 4), engine.Kv.Computed);
        Assert.Equal(0, requests[0].CachedTokens);
        Assert.All(requests[1..], request => Assert.Equal(300, request.CachedTokens));
        Assert.Equal(7, engine.Scheduler.Counters.Held);
        Assert.Equal((8 * 303L, 7 * 300L), (engine.Scheduler.Counters.PromptTokens, engine.Scheduler.Counters.CachedTokens));
        engine.CheckEnd();
    }

    [Fact]
    public void Admit_TheSamePromptTwice_TheLastTokenIsComputedAgain()
    {
        var engine = Engine();
        var (first, second) = (Request(100, maxTokens: 5), Request(100, maxTokens: 5));
        engine.Enqueue(first);
        engine.Enqueue(second);

        engine.Run(50);

        Assert.Equal((0, 99), (first.CachedTokens, second.CachedTokens));
        Assert.Equal(first.Tokens, second.Tokens);
        engine.CheckEnd();
    }

    [Fact]
    public void Admit_DonorIsCancelledHalfway_TheHeldOneGoesOnFromThere()
    {
        var engine = Engine(cells: 4000, batch: 64);
        var (donor, held) = (Request(600, maxTokens: 5), Request(600, extra: [1], maxTokens: 5));
        engine.Enqueue(donor);
        engine.Enqueue(held);
        for (var i = 0; i < 3; i++)
            engine.Step();
        Assert.Equal((SequenceStatus.Held, -1), (held.Status, held.SequenceId));

        donor.Cancel();
        engine.Step();

        Assert.Equal((SequenceStatus.Prefill, 192), (held.Status, held.CachedTokens));
        engine.Run(50);
        Assert.Equal(601 + 4, engine.Kv.Computed);
        engine.CheckEnd();
    }

    [Fact]
    public void Admit_InteractiveWaitsForABatchDonor_MakesTheDonorUrgent()
    {
        var engine = Engine(cells: 8000, batch: 64);
        var donor = Request(1000, maxTokens: 1, lane: Lane.Batch);
        engine.Enqueue(donor);
        engine.Enqueue(Request(1000, extra: [1], maxTokens: 1));
        engine.Enqueue(Request(2000, from: 5000, maxTokens: 1));
        engine.Step();

        Assert.Equal(Lane.Interactive, donor.EffectiveLane);
        Assert.Contains(engine.LastPlan!.Shares, share => share.Sequence == donor && share.Count > 16);
    }

    [Fact]
    public void Admit_TheNextTurn_FindsTheReplyOfTheLast()
    {
        var engine = Engine();
        var first = Request(50, maxTokens: 20);
        engine.Enqueue(first);
        engine.Run(50);

        var second = new Sequence([.. first.Tokens, 7, 7, 7]) { MaxTokens = 5, TenantId = "t" };
        engine.Enqueue(second);
        engine.Run(50);

        // The reply's last token was drawn, never computed.
        Assert.Equal(69, second.CachedTokens);
        Assert.Equal(0, engine.Kv.Shares);
        engine.CheckEnd();
    }

    [Fact]
    public void Admit_OtherTenantOrAdaptersOrBypass_SharesNothing()
    {
        var engine = Engine(cells: 4000);
        engine.Enqueue(Request(100, maxTokens: 5));
        engine.Run(50);
        Sequence[] others =
        [
            Request(100, maxTokens: 5, tenant: "other"),
            Request(100, maxTokens: 5, adapters: "lora:1"),
            Request(100, maxTokens: 5, bypass: true),
        ];
        Array.ForEach(others, other => engine.Enqueue(other));

        engine.Run(50);

        Assert.All(others, other => Assert.Equal(0, other.CachedTokens));
        Assert.Equal((0, 4 * 104), (engine.Kv.Shares, engine.Kv.Computed));
        engine.CheckEnd();
    }

    [Fact]
    public void Plan_RepliesOutgrowTheCache_TheLatestIsPreemptedAndEndsWithTheSameTokens()
    {
        var engine = Engine(cells: 100, running: 3);
        var requests = Enumerable.Range(0, 3).Select(i => Request(20, from: 100 * i, maxTokens: 60)).ToList();
        requests.ForEach(request => engine.Enqueue(request));

        engine.Run(1000);

        Assert.True(engine.Scheduler.Counters.Preemptions > 0);
        Assert.Equal(0, requests[0].Preemptions);
        Assert.All(requests, request => Assert.Equal(60, request.GeneratedTokens));
        requests.ForEach(SimulatedEngine.CheckTokens);
        engine.CheckEnd();
    }

    [Fact]
    public void Plan_BatchAndInteractiveOutgrowTheCache_BatchGivesWay()
    {
        var engine = Engine(cells: 100, running: 3);
        var batch = Request(20, maxTokens: 60, lane: Lane.Batch);
        var interactive = Request(20, from: 500, maxTokens: 60);
        engine.Enqueue(batch);
        engine.Step();
        engine.Enqueue(interactive);

        engine.Run(1000);

        Assert.Equal((0, true), (interactive.Preemptions, batch.Preemptions > 0));
        Assert.Same(interactive, engine.Finished[0]);
    }

    [Fact]
    public void Admit_BatchFillsEveryPlace_InteractiveDoesNotWait()
    {
        var engine = Engine(cells: 4000, running: 2);
        Sequence[] batch = [Request(50, maxTokens: 100, lane: Lane.Batch), Request(50, from: 100, maxTokens: 100, lane: Lane.Batch)];
        Array.ForEach(batch, request => engine.Enqueue(request));
        for (var i = 0; i < 10; i++)
            engine.Step();
        var interactive = Request(30, from: 500, maxTokens: 3);
        engine.Enqueue(interactive);
        engine.Step();

        Assert.NotEqual(-1, interactive.SequenceId);
        var computed = engine.Kv.Computed;
        engine.Run(1000);

        // What the one that gave way had computed was still there.
        Assert.Equal(1, batch.Sum(request => request.Preemptions));
        Assert.InRange(engine.Kv.Computed - computed, 180, 190);
        engine.CheckEnd();
    }

    [Fact]
    public void DropDead_TheEndOfWhatOneCanHold_IsReported()
    {
        var engine = Engine(cells: 64);
        var alone = Request(50, maxTokens: 1000);
        engine.Enqueue(alone);
        Assert.Equal(AdmissionResult.TooLong, engine.Enqueue(Request(65, maxTokens: 1)).Result);

        engine.Run(100);

        Assert.Equal(new DroppedSequence(alone, DropReason.OutOfRoom), Assert.Single(engine.Dropped));
        Assert.Equal(65, alone.Tokens.Count);
        engine.CheckEnd();
    }

    [Fact]
    public void DropDead_WaitingHeldAndRunning_EndInTheNextStep()
    {
        var engine = Engine(cells: 4000, running: 3, batch: 32);
        var now = engine.Now;
        Sequence[] requests =
        [
            Request(500, maxTokens: 5),
            Request(500, extra: [1], maxTokens: 5),
            Request(500, from: 1000, maxTokens: 5, deadline: now + TimeSpan.FromMilliseconds(50)),
            Request(500, from: 2000, maxTokens: 5),
        ];
        Array.ForEach(requests, request => engine.Enqueue(request));
        engine.Step();
        Assert.Equal([SequenceStatus.Prefill, SequenceStatus.Held, SequenceStatus.Prefill, SequenceStatus.Waiting], requests.Select(request => request.Status));
        foreach (var request in (Sequence[])[requests[0], requests[1], requests[3]])
            request.Cancel();
        engine.Now += TimeSpan.FromMilliseconds(50);

        engine.Step();

        Assert.Equal(4, engine.Dropped.Count);
        Assert.Equal(requests[2], engine.Dropped.Single(dropped => dropped.Reason == DropReason.DeadlinePassed).Sequence);
        engine.CheckEnd();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Run_TenantsWithABacklog_GetTokensByWeight(bool sharing)
    {
        var options = Options(running: 6, batch: 64) with { MaxQueued = 3000, SharePrefixes = sharing, TenantWeight = tenant => tenant == "t2" ? 2 : 1 };
        var engine = new SimulatedEngine(new FakeKvCache(2000, 8, unified: true), options);
        var random = new Random(1);
        for (var i = 0; i < 2400; i++)
            engine.Enqueue(Request(random.Next(5, 60), from: 100 * i, maxTokens: random.Next(1, i % 3 == 0 ? 60 : 20), tenant: $"t{i % 3}"));
        while (engine.Finished.Count < 900)
            engine.Step();

        var work = engine.Finished.GroupBy(sequence => sequence.TenantId)
            .ToDictionary(group => group.Key, group => (double)group.Sum(sequence => sequence.Tokens.Count - sequence.CachedTokens));
        Assert.InRange(work["t0"] / work["t1"], 0.9, 1.1);
        Assert.InRange(work["t2"] / work["t1"] / 2, 0.9, 1.1);
    }

    [Fact]
    public void Run_ManyUsersOneOfThemAHog_OthersStartAtOnce()
    {
        var engine = new SimulatedEngine(new FakeKvCache(2000, 4, unified: true), Options(running: 4, batch: 64) with { MaxQueued = 1000 });
        for (var i = 0; i < 300; i++)
            engine.Enqueue(Request(30, from: 100 * i, maxTokens: 20, user: "hog"));
        for (var i = 0; i < 20; i++)
        {
            for (var j = 0; j < 10; j++)
                engine.Step();
            var light = Request(30, from: 50_000 + (100 * i), maxTokens: 5, user: $"light{i}");
            engine.Enqueue(light);
            var steps = engine.Steps;
            while (light.Status != SequenceStatus.Finished)
                engine.Step();

            // One of the hog's four has to end first, twenty tokens at most.
            Assert.InRange(engine.Steps - steps, 1, 35);
        }
    }

    [Fact]
    public void Plan_SeveralAdapterSets_TakeTurns()
    {
        var engine = Engine(cells: 4000);
        for (var i = 0; i < 3; i++)
            engine.Enqueue(Request(20, from: 100 * i, maxTokens: 30, adapters: i == 0 ? "" : $"lora{i}"));

        var keys = new List<string>();
        for (var i = 0; i < 30; i++)
        {
            engine.Step();
            keys.Add(engine.LastPlan!.AdapterKey);
        }

        Assert.All(keys.Chunk(3), turn => Assert.Equal(3, turn.Distinct().Count()));
    }

    [Fact]
    public void Accept_RightAndWrongGuesses_AreCountedAndTheCacheHoldsWhatWasDrawn()
    {
        var engine = Engine();
        engine.Draft = sequence =>
        {
            var right = FakeKvCache.FirstToken(sequence.Tokens);
            return [right, FakeKvCache.FirstToken(sequence.Tokens.Append(right)), -1];
        };
        var sequence = Request(20, maxTokens: 31);
        engine.Enqueue(sequence);
        engine.Run(50);

        // The first token comes from the prompt, then three a step; the reply's end leaves the last step's guesses unjudged.
        Assert.Equal((11, 31), (engine.Steps, sequence.GeneratedTokens));
        Assert.Equal((30L, 18L), (engine.Scheduler.Counters.DraftedTokens, engine.Scheduler.Counters.AcceptedTokens));
        SimulatedEngine.CheckTokens(sequence);
        engine.CheckEnd();
    }

    [Fact]
    public void Accept_ADraftThatWasNotDrawn_IsRefused()
    {
        var (scheduler, kv) = Bare();
        var sequence = Request(4, maxTokens: 10);
        Decode(scheduler, kv, sequence, draft: null);
        sequence.Append(1);
        sequence.Draft = [2, 3];
        Decode(scheduler, kv, sequence, draft: 2);
        sequence.Append(9);

        Assert.Throws<InvalidOperationException>(() => scheduler.Accept(sequence, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => scheduler.Accept(sequence, 3));
        scheduler.Accept(sequence, 0);
        Assert.Equal((5, 5), (sequence.ComputedTokens, kv.Length(sequence.SequenceId)));
    }

    [Fact]
    public void Plan_DraftsNobodyJudged_LeaveTheCache()
    {
        var (scheduler, kv) = Bare();
        var sequence = Request(4, maxTokens: 10);
        Decode(scheduler, kv, sequence, draft: null);
        sequence.Append(1);
        sequence.Draft = [2, 3];
        Decode(scheduler, kv, sequence, draft: 2);
        Assert.Equal((7, 7), (kv.Used, scheduler.UsedCells));
        sequence.Append(9);

        Assert.Equal(1, scheduler.Plan()!.TokenCount);
        Assert.Equal((5, 5), (kv.Used, scheduler.UsedCells));
    }

    [Fact]
    public void Finish_Twice_Throws()
    {
        var (scheduler, kv) = Bare();
        var sequence = Request(4, maxTokens: 10);
        Decode(scheduler, kv, sequence, draft: null);

        scheduler.Finish(sequence, keep: false);

        Assert.Throws<InvalidOperationException>(() => scheduler.Finish(sequence, keep: false));
        Assert.Throws<InvalidOperationException>(() => sequence.Append(1));
        Assert.Equal(0, kv.Used);
    }

    [Fact]
    public void Close_WaitingHeldAndRunning_AreHandedBackAndNothingIsLeft()
    {
        var engine = Engine(running: 2, cells: 4000, batch: 32);
        for (var i = 0; i < 5; i++)
            engine.Enqueue(Request(100, maxTokens: 5));
        engine.Step();

        var closed = engine.Scheduler.Close();

        Assert.Equal(5, closed.Count);
        Assert.All(closed, sequence => Assert.Equal(SequenceStatus.Finished, sequence.Status));
        Assert.Equal(AdmissionResult.Closed, engine.Enqueue(Request(10, maxTokens: 1)).Result);
        engine.CheckEnd();
    }

    [Fact]
    public void Admit_MaxCachedCells_BoundsWhatNobodyUses()
    {
        var engine = new SimulatedEngine(new FakeKvCache(4000, 8, unified: true), Options(running: 4, batch: 64) with { MaxCachedCells = 150 });
        for (var i = 0; i < 10; i++)
            engine.Enqueue(Request(60, from: 100 * i, maxTokens: 3));
        engine.Run(200);
        engine.Step();

        Assert.InRange(engine.Scheduler.Cache.CachedCells, 1, 150);
    }

    private static SimulatedEngine Engine(int cells = 1000, int running = 8, int batch = 64, int maxStep = 200) =>
        new(new FakeKvCache(cells, Math.Max(running, 8), unified: true), Options(running, batch) with { MaxStep = TimeSpan.FromMilliseconds(maxStep) });

    private static SchedulerOptions Options(int running, int batch) => new() { MaxRunning = running, BatchTokens = batch };

    private static (Scheduler, FakeKvCache) Bare()
    {
        var kv = new FakeKvCache(100, 2, unified: true);
        return (new Scheduler(kv, Options(running: 2, batch: 16)), kv);
    }

    private static void Decode(Scheduler scheduler, FakeKvCache kv, Sequence sequence, int? draft)
    {
        if (sequence.Status == SequenceStatus.Waiting)
        {
            scheduler.Enqueue(sequence, default);
            scheduler.Admit(default);
        }

        var plan = scheduler.Plan()!;
        var share = Assert.Single(plan.Shares);
        Assert.Equal(draft ?? 0, share.Drafts);
        for (var i = 0; i < share.Count; i++)
            kv.Compute(sequence.SequenceId, sequence.ComputedTokens + i, share.Token(i), default);
        scheduler.Computed(plan, TimeSpan.FromMilliseconds(1));
    }

    /// <summary>A prompt of different tokens; two with the same start have the same prefix.</summary>
    private static Sequence Request(
        int tokens, int maxTokens, int from = 0, int[]? extra = null, string tenant = "t", string user = "", string adapters = "",
        Lane lane = Lane.Interactive, bool bypass = false, DateTimeOffset? deadline = null) =>
        new([.. Enumerable.Range(from, tokens), .. extra ?? []])
        {
            TenantId = tenant,
            UserId = user,
            Lane = lane,
            AdapterKey = adapters,
            BypassCache = bypass,
            MaxTokens = maxTokens,
            Deadline = deadline,
        };
}
