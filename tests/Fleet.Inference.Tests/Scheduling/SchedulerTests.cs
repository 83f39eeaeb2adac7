using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class SchedulerTests
{
    [Fact]
    public void Plan_LongPromptBesideRunningReply_NeverStallsTheReply()
    {
        var scheduler = new Scheduler(slots: 2, batchTokens: 8);
        var reply = Prompt(3);
        scheduler.Admit(reply);
        Step(scheduler);
        scheduler.Admit(Prompt(100));

        for (var i = 0; i < 10; i++)
        {
            var plan = Step(scheduler);

            Assert.Contains(plan.Shares, share => share.Sequence == reply && share is { Count: 1, OutputIndex: >= 0 });
            Assert.Equal(8, plan.TokenCount);
        }
    }

    [Fact]
    public void Finish_Twice_Throws()
    {
        var scheduler = new Scheduler(slots: 1, batchTokens: 4);
        var sequence = Prompt(2);
        scheduler.Admit(sequence);

        scheduler.Finish(sequence);

        Assert.Throws<InvalidOperationException>(() => scheduler.Finish(sequence));
    }

    [Fact]
    public void Admit_NoSlot_Throws()
    {
        var scheduler = new Scheduler(slots: 1, batchTokens: 4);
        scheduler.Admit(Prompt(1));

        Assert.False(scheduler.HasFreeSlot);
        Assert.Throws<InvalidOperationException>(() => scheduler.Admit(Prompt(1)));
    }

    [Fact]
    public void RandomTraffic_KeepsEveryInvariant()
    {
        for (var seed = 0; seed < 300; seed++)
            Simulate(new Random(seed));
    }

    /// <summary>Runs random arrivals, endings and cancellations against a model of the cache that only knows positions.</summary>
    private static void Simulate(Random random)
    {
        var slots = random.Next(1, 9);
        var batch = slots + random.Next(1, 33);
        var scheduler = new Scheduler(slots, batch);
        var queue = new Queue<Sequence>(Enumerable.Range(0, random.Next(1, 30)).Select(_ => Prompt(random.Next(1, 80))));
        var all = queue.ToList();
        var cache = new int[slots];
        var finished = 0;

        for (var step = 0; finished < all.Count; step++)
        {
            Assert.True(step < 5000, "somebody starves");
            while (scheduler.HasFreeSlot && queue.TryDequeue(out var next))
            {
                scheduler.Admit(next);
                Assert.Equal(0, cache[next.Slot]);
            }

            var plan = scheduler.Plan();
            Assert.NotNull(plan);
            Assert.InRange(plan.TokenCount, 1, batch);
            Assert.Equal(plan.TokenCount, plan.Shares.Sum(share => share.Count));
            Assert.Equal(plan.Shares.Count, plan.Shares.Select(share => share.Sequence.Slot).Distinct().Count());
            Assert.All(scheduler.Running.Where(sequence => sequence.Status == SequenceStatus.Decode),
                sequence => Assert.Contains(plan.Shares, share => share.Sequence == sequence));

            foreach (var share in plan.Shares)
            {
                Assert.Equal(cache[share.Sequence.Slot], share.Sequence.ComputedTokens);
                cache[share.Sequence.Slot] += share.Count;
            }

            Scheduler.Computed(plan);
            foreach (var share in plan.Shares)
            {
                Assert.Equal(share.Sequence.ComputedTokens == share.Sequence.Tokens.Count, share.OutputIndex >= 0);
                if (share.OutputIndex >= 0)
                    share.Sequence.Append(1);
            }

            // Some end, some are cancelled in the middle of their prompt.
            foreach (var sequence in scheduler.Running.Where(sequence => sequence.GeneratedTokens > 0 ? random.Next(6) == 0 : random.Next(40) == 0).ToList())
            {
                cache[scheduler.Finish(sequence)] = 0;
                finished++;
            }
        }

        Assert.Empty(scheduler.Running);
        Assert.All(cache, cells => Assert.Equal(0, cells));
        Assert.All(all, sequence => Assert.Equal(SequenceStatus.Finished, sequence.Status));
    }

    private static BatchPlan Step(Scheduler scheduler)
    {
        var plan = scheduler.Plan()!;
        Scheduler.Computed(plan);
        foreach (var share in plan.Shares.Where(share => share.OutputIndex >= 0))
            share.Sequence.Append(1);
        return plan;
    }

    private static Sequence Prompt(int tokens) => new([.. Enumerable.Range(1, tokens)]);
}
