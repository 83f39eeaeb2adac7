using Fleet.Inference.Engine;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class FairQueueTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch;

    [Fact]
    public void TryAdd_WaitingAndRunningAtTheBound_IsRefusedWithTheNumbers()
    {
        var queue = Queue(running: 1, queued: 2);
        var first = Request();
        Assert.Equal(new Admission(AdmissionResult.Accepted, 1, 0, TimeSpan.Zero), queue.TryAdd(first, Now));
        queue.Take(first);
        queue.TryAdd(Request(), Now);
        queue.TryAdd(Request(), Now);

        var refused = queue.TryAdd(Request(), Now);

        // Nothing has ended yet, so two seconds each are the guess: two before it, then its own turn.
        Assert.Equal(new Admission(AdmissionResult.QueueFull, 2, 1, TimeSpan.FromSeconds(4)), refused with { EstimatedWait = TimeSpan.FromSeconds(4) });
        Assert.InRange(refused.EstimatedWait.TotalSeconds, 4, 6);

        queue.Release(first, TimeSpan.FromSeconds(1));
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(), Now).Result);
    }

    [Fact]
    public void TryAdd_OneUserFillsItsHalf_OthersStillGetIn()
    {
        var queue = Queue(running: 1, queued: 8);
        for (var i = 0; i < 4; i++)
            Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(user: "a"), Now).Result);

        var refused = queue.TryAdd(Request(user: "a"), Now);

        Assert.Equal((AdmissionResult.UserQueueFull, 4), (refused.Result, refused.Queued));
        Assert.Equal(AdmissionResult.UserQueueFull, queue.TryAdd(Request(user: "a", lane: Lane.Batch), Now).Result);
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(user: "b"), Now).Result);
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(user: "a", tenant: "other"), Now).Result);
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(user: ""), Now).Result);
    }

    [Fact]
    public void TryAdd_DeadlineBeforeTheEstimatedTurn_IsRefused()
    {
        var queue = Queue(running: 1, queued: 8);
        var running = Request();
        queue.TryAdd(running, Now);
        queue.Take(running);

        // Before anything was measured the guess refuses nobody, but what is late is late.
        Assert.Equal(AdmissionResult.DeadlineTooSoon, queue.TryAdd(Request(deadline: Now), Now).Result);
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(deadline: Now + TimeSpan.FromMilliseconds(1)), Now).Result);

        var other = queue.Peek()!;
        queue.Take(other);
        queue.Release(other, TimeSpan.FromSeconds(10));
        var refused = queue.TryAdd(Request(deadline: Now + TimeSpan.FromSeconds(9)), Now);
        Assert.Equal((AdmissionResult.DeadlineTooSoon, TimeSpan.FromSeconds(10)), (refused.Result, refused.EstimatedWait));
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd(Request(deadline: Now + TimeSpan.FromSeconds(11)), Now).Result);
    }

    [Fact]
    public void EstimatedWait_ANewUserBehindAHeavyOne_IsShort()
    {
        var queue = Queue(running: 2, queued: 100);
        for (var i = 0; i < 2; i++)
        {
            queue.TryAdd(Request(user: "heavy"), Now);
            queue.Take(queue.Peek()!);
        }

        for (var i = 0; i < 30; i++)
            queue.TryAdd(Request(user: "heavy"), Now);

        var light = queue.TryAdd(Request(user: "light"), Now).EstimatedWait;
        var heavy = queue.TryAdd(Request(user: "heavy"), Now).EstimatedWait;

        Assert.Equal(TimeSpan.FromSeconds(2), light);
        Assert.InRange(heavy.TotalSeconds, 30, 34);
    }

    [Fact]
    public void Peek_AUserWithManyWaiting_SinksBelowOthers()
    {
        var queue = Queue(running: 100, queued: 100);
        for (var i = 0; i < 10; i++)
            queue.TryAdd(Request(user: "heavy"), Now);
        var running = queue.Peek()!;
        queue.Take(running);
        queue.Charge(running, 10);
        queue.TryAdd(Request(user: "light"), Now);

        Assert.Equal("light", queue.Peek()!.UserId);
    }

    [Fact]
    public void Peek_SomebodyAwayForLong_SavesNothingUp()
    {
        var queue = Queue(running: 1000, queued: 1000);
        for (var i = 0; i < 200; i++)
            queue.TryAdd(Request(user: "busy"), Now);
        for (var i = 0; i < 100; i++)
            Serve(queue, 10);
        for (var i = 0; i < 50; i++)
            queue.TryAdd(Request(user: "new"), Now);

        var served = Enumerable.Range(0, 40).Select(_ => Serve(queue, 10).UserId).ToList();

        Assert.InRange(served.Count(user => user == "new"), 19, 21);
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 5)]
    public void Peek_Backlogged_GivesTenantsAndTheirUsersWorkByWeight(int light, int heavy)
    {
        var options = Options(1, 10_000) with
        {
            MaxQueuedPerUser = 10_000,
            TenantWeight = tenant => tenant == "heavy" ? heavy : light,
            UserWeight = (_, user) => user == "u0" ? 2 : 1,
        };
        var queue = new FairQueue(options);
        var random = new Random(1);
        var work = new Dictionary<(string, string), int>();
        for (var i = 0; i < 4000; i++)
            queue.TryAdd(Request(tenant: i % 2 == 0 ? "light" : "heavy", user: $"u{i / 2 % 2}"), Now);

        for (var i = 0; i < 1000; i++)
        {
            var tokens = random.Next(1, 100);
            var sequence = Serve(queue, tokens);
            work[(sequence.TenantId, sequence.UserId)] = work.GetValueOrDefault((sequence.TenantId, sequence.UserId)) + tokens;
        }

        double Tenant(string tenant) => work.Where(pair => pair.Key.Item1 == tenant).Sum(pair => pair.Value);
        Assert.InRange(Tenant("heavy") / Tenant("light") / ((double)heavy / light), 0.9, 1.1);
        Assert.InRange(work[("heavy", "u0")] / (double)work[("heavy", "u1")] / 2, 0.9, 1.1);
        Assert.InRange(work[("light", "u0")] / (double)work[("light", "u1")] / 2, 0.9, 1.1);
    }

    [Fact]
    public void Peek_BothLanesWait_EightToOneAndNeitherStarves()
    {
        var queue = Queue(running: 1, queued: 10_000);
        for (var i = 0; i < 2000; i++)
            queue.TryAdd(Request(lane: i % 2 == 0 ? Lane.Batch : Lane.Interactive), Now);

        var lanes = Enumerable.Range(0, 900).Select(_ => Serve(queue, 10).Lane).ToList();

        Assert.InRange(lanes.Count(lane => lane == Lane.Batch), 95, 105);
        Assert.All(lanes.Chunk(18), part => Assert.Contains(Lane.Batch, part));
    }

    [Fact]
    public void PutBack_APreemptedOne_ComesBeforeItsUsersOthers()
    {
        var queue = Queue(running: 1, queued: 10);
        var (first, second) = (Request(user: "a"), Request(user: "a"));
        queue.TryAdd(first, Now);
        queue.TryAdd(second, Now);
        queue.Take(first);
        queue.PutBack(first);

        Assert.Same(first, queue.Peek());
        Assert.Equal(2, queue.Count);
    }

    [Fact]
    public void RemoveDead_CancelledAndLate_AreHandedBackAndNobodyElse()
    {
        var queue = Queue(running: 1, queued: 10);
        var (cancelled, late, alive) = (Request(), Request(deadline: Now + TimeSpan.FromSeconds(1)), Request(deadline: Now + TimeSpan.FromSeconds(3)));
        foreach (var sequence in (Sequence[])[cancelled, late, alive])
            queue.TryAdd(sequence, Now);
        cancelled.Cancel();

        var dead = queue.RemoveDead(Now + TimeSpan.FromSeconds(1));

        Assert.Equal([new(cancelled, DropReason.Cancelled), new(late, DropReason.DeadlinePassed)], dead);
        Assert.Equal([alive], queue.Snapshot());
        Assert.Empty(queue.RemoveDead(Now + TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void Close_HandsBackWhatWaitsAndRefusesMore()
    {
        var queue = Queue(running: 1, queued: 2);
        var waiting = Request();
        queue.TryAdd(waiting, Now);

        Assert.Equal([waiting], queue.Close());
        Assert.Equal(AdmissionResult.Closed, queue.TryAdd(Request(), Now).Result);
        Assert.Null(queue.Peek());
    }

    [Fact]
    public void TryAdd_FromManyThreadsWhileOthersTake_LosesNone()
    {
        var queue = Queue(running: 50, queued: 150);
        var (accepted, taken) = (0, 0);
        Parallel.For(0, 8, worker =>
        {
            for (var i = 0; i < 500; i++)
            {
                if (worker % 2 == 1)
                {
                    if (queue.TryAdd(Request(user: $"u{i % 5}"), Now).Result == AdmissionResult.Accepted)
                        Interlocked.Increment(ref accepted);
                }
                else if (worker == 0 && queue.Peek() is { } sequence)
                {
                    queue.Take(sequence);
                    queue.Charge(sequence, 5);
                    queue.Release(sequence, null);
                    taken++;
                }
            }
        });

        while (queue.Peek() is not null)
        {
            Serve(queue, 1);
            taken++;
        }

        Assert.Equal(accepted, taken);
    }

    private static Sequence Serve(FairQueue queue, int tokens)
    {
        var sequence = queue.Peek()!;
        queue.Take(sequence);
        queue.Charge(sequence, tokens);
        queue.Release(sequence, null);
        return sequence;
    }

    private static FairQueue Queue(int running, int queued) => new(Options(running, queued));

    private static SchedulerOptions Options(int running, int queued) => new() { MaxRunning = running, BatchTokens = 512, MaxQueued = queued };

    private static Sequence Request(string tenant = "t", string user = "", Lane lane = Lane.Interactive, DateTimeOffset? deadline = null) =>
        new([1]) { TenantId = tenant, UserId = user, Lane = lane, Deadline = deadline };
}
