using Fleet.Inference.Engine.Resilience;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Engine.Resilience;

public sealed class CircuitBreakerTests
{
    private static readonly CircuitOptions Options = new();
    private readonly ManualTimeProvider _time = new();
    private readonly List<(CircuitState Before, CircuitSnapshot After)> _changes = [];

    [Fact]
    public void FiveFailuresInARow_Open_AndAMinuteLaterThreeSuccessesClose()
    {
        var circuit = Circuit();

        Fail(circuit, 5);

        Assert.False(circuit.TryEnter(out _, out var retryAfter));
        Assert.Equal(TimeSpan.FromMinutes(1), retryAfter);
        Assert.Equal((CircuitState.Open, 5, "down"), (circuit.Snapshot().State, circuit.Snapshot().ConsecutiveFailures, circuit.Snapshot().LastError));
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.False(circuit.TryEnter(out _, out retryAfter));
        Assert.Equal(TimeSpan.FromSeconds(1), retryAfter);

        _time.Advance(TimeSpan.FromSeconds(1));
        Succeed(circuit, 2);
        Assert.Equal((CircuitState.HalfOpen, 2), (circuit.Snapshot().State, circuit.Snapshot().TrialSuccesses));
        Succeed(circuit, 1);

        Assert.Equal((CircuitState.Closed, 0, (DateTimeOffset?)null), (circuit.Snapshot().State, circuit.Snapshot().ConsecutiveFailures, circuit.Snapshot().OpenedAt));
        Assert.Equal([CircuitState.Open, CircuitState.HalfOpen, CircuitState.Closed], _changes.Select(change => change.After.State));
    }

    [Fact]
    public void ASuccessInBetween_StartsTheCountAnew()
    {
        var circuit = Circuit();

        Fail(circuit, 4);
        Succeed(circuit, 1);
        Fail(circuit, 4);

        Assert.Equal(CircuitState.Closed, circuit.Snapshot().State);
        Fail(circuit, 1);
        Assert.Equal(CircuitState.Open, circuit.Snapshot().State);
    }

    [Fact]
    public void WhatIsNotTheTargetsFault_CountsNeitherWay()
    {
        var circuit = Circuit();

        Fail(circuit, 4);
        for (var i = 0; i < 10; i++)
            Call(circuit, CallOutcome.Unknown);
        Assert.Equal((CircuitState.Closed, 4), (circuit.Snapshot().State, circuit.Snapshot().ConsecutiveFailures));

        Fail(circuit, 1);
        Assert.Equal(CircuitState.Open, circuit.Snapshot().State);
    }

    [Fact]
    public void HalfOpen_AdmitsAsManyTrialsAsAreNeeded_AndOneFailureOpensAgain()
    {
        var circuit = Circuit();
        Fail(circuit, 5);
        _time.Advance(TimeSpan.FromMinutes(1));

        var trials = Enumerable.Range(0, 3).Select(_ => circuit.TryEnter(out var pass, out var _) ? pass : throw new InvalidOperationException("refused")).ToList();
        Assert.False(circuit.TryEnter(out _, out _));
        circuit.Report(trials[0], CallOutcome.Unknown);
        Assert.True(circuit.TryEnter(out var again, out _));
        circuit.Report(trials[1], CallOutcome.Succeeded);
        circuit.Report(trials[2], CallOutcome.Failed, "still down");

        Assert.Equal((CircuitState.Open, "still down"), (circuit.Snapshot().State, circuit.Snapshot().LastError));
        Assert.False(circuit.TryEnter(out _, out var retryAfter));
        Assert.Equal(TimeSpan.FromMinutes(1), retryAfter);

        // It began before the circuit opened again: its success proves nothing about now.
        circuit.Report(again, CallOutcome.Succeeded);
        Assert.Equal(CircuitState.Open, circuit.Snapshot().State);
    }

    [Fact]
    public void ACallThatOutlivesTheCircuitsChange_DoesNotCount()
    {
        var circuit = Circuit();
        Assert.True(circuit.TryEnter(out var slow, out _));
        Fail(circuit, 5);

        circuit.Report(slow, CallOutcome.Succeeded);
        Assert.Equal(CircuitState.Open, circuit.Snapshot().State);

        _time.Advance(TimeSpan.FromMinutes(1));
        Succeed(circuit, 3);
        circuit.Report(slow, CallOutcome.Failed);
        Assert.Equal((CircuitState.Closed, 0), (circuit.Snapshot().State, circuit.Snapshot().ConsecutiveFailures));
    }

    /// <summary>Against a plain model of the rules, step by step, over thousands of random histories.</summary>
    [Fact]
    public void RandomHistories_FollowTheRules()
    {
        for (var seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var options = new CircuitOptions { Failures = random.Next(1, 6), Successes = random.Next(1, 4), OpenFor = TimeSpan.FromSeconds(random.Next(1, 20)) };
            var time = new ManualTimeProvider();
            var changes = 0;
            var circuit = new CircuitBreaker("model:x", options, time, (before, after) =>
            {
                changes++;
                Assert.NotEqual(before, after.State);
            });
            var running = new List<CircuitPass>();
            var failures = 0;
            var opened = DateTimeOffset.MinValue;

            for (var step = 0; step < 60; step++)
            {
                var before = circuit.Snapshot();
                switch (random.Next(4))
                {
                    case 0:
                        var entered = circuit.TryEnter(out var pass, out var retryAfter);
                        Assert.Equal(before.State == CircuitState.Closed || entered, entered);
                        if (before.State == CircuitState.Open)
                            Assert.Equal(time.GetUtcNow() - opened >= options.OpenFor, entered);
                        Assert.Equal(entered, retryAfter == TimeSpan.Zero);
                        if (entered)
                            running.Add(pass);
                        Assert.True(running.Count(other => other.Trial && other.Epoch == pass.Epoch) <= options.Successes);
                        break;

                    case 1:
                        time.Advance(TimeSpan.FromSeconds(random.Next(0, 10)));
                        break;

                    default:
                        if (running.Count == 0)
                            break;
                        var ended = running[random.Next(running.Count)];
                        running.Remove(ended);
                        circuit.Report(ended, (CallOutcome)random.Next(3), "x");
                        break;
                }

                var after = circuit.Snapshot();
                if (before.State != CircuitState.Open && after.State == CircuitState.Open)
                {
                    opened = time.GetUtcNow();
                    Assert.True(before.State == CircuitState.HalfOpen || failures + 1 >= options.Failures);
                }

                Assert.InRange(after.TrialSuccesses, 0, options.Successes - 1);
                Assert.True(after.State != CircuitState.Closed || after.ConsecutiveFailures < options.Failures);
                failures = after.ConsecutiveFailures;
            }
        }
    }

    [Fact]
    public async Task ManyThreads_NeverLoseATrial()
    {
        var circuit = new CircuitBreaker("model:x", new CircuitOptions { Failures = 2, Successes = 2, OpenFor = TimeSpan.FromTicks(1) }, TimeProvider.System);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 20_000; i++)
            {
                if (circuit.TryEnter(out var pass, out _))
                    circuit.Report(pass, (CallOutcome)random.Next(3));
            }
        })));

        // Had a trial been counted as running for ever, it could not close now.
        await Eventually.TrueAsync(() =>
        {
            if (circuit.TryEnter(out var pass, out _))
                circuit.Report(pass, CallOutcome.Succeeded);
            return circuit.Snapshot().State == CircuitState.Closed;
        });
    }

    private CircuitBreaker Circuit() => new("model:x", Options, _time, (before, after) => _changes.Add((before, after)));

    private static void Fail(CircuitBreaker circuit, int times) => Enumerable.Range(0, times).ToList().ForEach(_ => Call(circuit, CallOutcome.Failed, "down"));

    private static void Succeed(CircuitBreaker circuit, int times) => Enumerable.Range(0, times).ToList().ForEach(_ => Call(circuit, CallOutcome.Succeeded));

    private static void Call(CircuitBreaker circuit, CallOutcome outcome, string error = "")
    {
        Assert.True(circuit.TryEnter(out var pass, out _));
        circuit.Report(pass, outcome, error);
    }
}
