using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Embedding;
using Fleet.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fleet.Inference.Tests.Engine.Embedding;

public sealed class TextEngineTests : IAsyncDisposable
{
    private readonly SteppedRunner _runner = new();
    private readonly TextEngine _engine;

    public TextEngineTests() => _engine = new TextEngine("test", _runner, maxQueued: 3, TimeProvider.System, NullLogger.Instance);

    public async ValueTask DisposeAsync()
    {
        _runner.Open();
        await _engine.DisposeAsync();
    }

    [Fact]
    public async Task Run_ConcurrentCallers_EachGetsItsOwnResultsFromSharedBatches()
    {
        var blocker = Run("0", 1);
        await _runner.EnteredAsync(1);
        var callers = Enumerable.Range(1, 3).Select(i => Run($"{i}", i, i + 10)).ToList();
        _runner.Open();

        await blocker;
        for (var i = 0; i < 3; i++)
            Assert.Equal([(float)i + 1, i + 11], (await callers[i]).Select(output => output[0]));
        Assert.Equal([1, 6], _runner.Batches.Select(batch => batch.Count));
    }

    [Fact]
    public async Task Run_SingleTextBesideFiveHundred_IsAnsweredByTheNextBatch()
    {
        var bulk = _engine.RunAsync([.. Enumerable.Range(0, 500).Select(_ => new int[8])], new Requester("", "bulk", Lane.Batch), CancellationToken.None);
        await _runner.EnteredAsync(1);

        var single = Run("asks", 5);
        _runner.Release(2);
        await single;

        Assert.True(_runner.Batches.Count <= 3);
        Assert.False(bulk.IsCompleted);
        _runner.Open();
        Assert.Equal(500, (await bulk).Length);
    }

    [Fact]
    public async Task Run_QueueFull_IsRefusedWithTheNumbers()
    {
        var running = Run("a", 1);
        await _runner.EnteredAsync(1);
        var queued = Enumerable.Range(0, 3).Select(i => Run($"{i}", 2)).ToList();

        var refused = await Assert.ThrowsAsync<EngineException>(() => Run("late", 1));

        Assert.Equal((EngineError.QueueFull, 3, 1), (refused.Error, refused.Queued, refused.Running));
        Assert.True(refused.RetryAfter > TimeSpan.Zero);
        Assert.Equal((1, 3), (_engine.Activity.Running, _engine.Activity.Queued));
        _runner.Open();
        await Task.WhenAll([running, .. queued]);
        Assert.Equal((0, 0), (_engine.Activity.Running, _engine.Activity.Queued));
        Assert.True(_engine.Activity.Gauges!.Steps >= 2);
    }

    [Fact]
    public async Task Run_TooManyTokensWait_IsRefusedThoughRequestsWouldFit()
    {
        var running = Run("a", 1);
        await _runner.EnteredAsync(1);
        var half = new int[SteppedRunner.LongestText];
        var large = _engine.RunAsync([.. Enumerable.Repeat(half, TextEngine.MaxWaitingTokens / half.Length)], Requester.Unknown, CancellationToken.None);

        var refused = await Assert.ThrowsAsync<EngineException>(() => Run("late", 1));

        Assert.Equal(EngineError.QueueFull, refused.Error);
        _runner.Open();
        await Task.WhenAll(running, large);
    }

    [Fact]
    public async Task Cancel_MidBatch_ComputesNothingThatHadNotStarted()
    {
        using var cancel = new CancellationTokenSource();
        var bulk = _engine.RunAsync([.. Enumerable.Repeat(new int[SteppedRunner.Tokens], 100)], Requester.Unknown, cancel.Token);
        await _runner.EnteredAsync(1);

        await cancel.CancelAsync();
        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bulk);
        var after = Run("next", 3);
        _runner.Open();
        await after;

        Assert.Equal(cancel.Token, cancelled.CancellationToken);
        Assert.Equal([1, 1], _runner.Batches.Select(batch => batch.Count));
        Assert.Equal((0, 0), (_engine.Activity.Running, _engine.Activity.Queued));
    }

    [Fact]
    public async Task Run_AlreadyCancelled_NeverStarts()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _engine.RunAsync([[1]], Requester.Unknown, new CancellationToken(canceled: true)));

        Assert.Empty(_runner.Batches);
    }

    [Fact]
    public async Task Dispose_WhileBusy_EndsAllCallersAsUnavailableAndTheRunnerLast()
    {
        var running = Run("a", 1);
        await _runner.EnteredAsync(1);
        var queued = Run("b", 2);

        var closing = _engine.DisposeAsync();

        Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => running)).Error);
        Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => queued)).Error);
        Assert.False(_runner.Disposed);
        _runner.Open();
        await closing;
        Assert.True(_runner.Disposed);
        Assert.Equal(EngineError.Unavailable, (await Assert.ThrowsAsync<EngineException>(() => Run("late", 1))).Error);
        await _engine.DisposeAsync();
    }

    [Fact]
    public async Task Run_OneTextFails_OnlyItsRequestFails()
    {
        var blocker = Run("0", 1);
        await _runner.EnteredAsync(1);
        var good = Run("good", 4, 5);
        var bad = Run("bad", 6, SteppedRunner.Poison);
        _runner.Open();

        await blocker;
        Assert.Equal([4f, 5], (await good).Select(output => output[0]));
        Assert.Equal(EngineError.Internal, (await Assert.ThrowsAsync<EngineException>(() => bad)).Error);
        Assert.Equal([7f], (await Run("later", 7)).Select(output => output[0]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(SteppedRunner.LongestText + 1)]
    public async Task Run_TextOfImpossibleLength_NeverReachesTheRunner(int length)
    {
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => _engine.RunAsync([[1], new int[length]], Requester.Unknown, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => _engine.RunAsync([], Requester.Unknown, CancellationToken.None));

        Assert.Empty(_runner.Batches);
    }

    [Fact]
    public async Task Run_RandomCallersAndCancels_EverybodyGetsAnAnswer()
    {
        await using var engine = new TextEngine("random", new SteppedRunner(open: true), maxQueued: 10_000, TimeProvider.System, NullLogger.Instance);

        await Parallel.ForAsync(0, 300, async (seed, _) =>
        {
            var random = new Random(seed);
            using var cancel = new CancellationTokenSource();
            var texts = Enumerable.Range(0, random.Next(1, 30)).Select(_ => Enumerable.Repeat(random.Next(1, 99), random.Next(1, 80)).ToArray()).ToList();
            var run = engine.RunAsync(texts, new Requester("", $"{seed % 7}", (Lane)(seed % 2)), cancel.Token);
            if (seed % 3 == 0)
                await cancel.CancelAsync();
            try
            {
                Assert.Equal(texts.Select(text => (float)text[0]), (await run).Select(output => output[0]));
            }
            catch (OperationCanceledException) when (seed % 3 == 0)
            {
            }
        });

        Assert.Equal((0, 0), (engine.Activity.Running, engine.Activity.Queued));
        Assert.Equal(TimeSpan.Zero, engine.Activity.Gauges!.EstimatedWait);
    }

    // Texts of one token each; the token is the result.
    private Task<float[][]> Run(string user, params int[] values) =>
        _engine.RunAsync([.. values.Select(value => new[] { value })], new Requester("", user, Lane.Interactive), CancellationToken.None);

    /// <summary>Gives each text's first token back, one batch for each release.</summary>
    private sealed class SteppedRunner(bool open = false) : ITextRunner
    {
        public const int Tokens = 64;
        public const int LongestText = 1024;
        public const int Poison = -1;

        private readonly SemaphoreSlim _steps = new(open ? int.MaxValue / 2 : 0);
        private readonly List<IReadOnlyList<int[]>> _batches = [];

        public int MaxTokens => LongestText;

        public int BatchTokens => Tokens;

        public int BatchTexts => 16;

        public bool Disposed { get; private set; }

        public IReadOnlyList<IReadOnlyList<int[]>> Batches
        {
            get
            {
                lock (_batches)
                    return [.. _batches];
            }
        }

        public void Release(int batches) => _steps.Release(batches);

        public void Open() => _steps.Release(1_000_000);

        public Task EnteredAsync(int batches) => Eventually.TrueAsync(() => Batches.Count >= batches);

        public float[][] Run(IReadOnlyList<int[]> texts)
        {
            ObjectDisposedException.ThrowIf(Disposed, this);
            lock (_batches)
                _batches.Add(texts);
            _steps.Wait();
            return texts.Any(text => text[0] == Poison) ? throw new InvalidOperationException("poison") : [.. texts.Select(text => new[] { (float)text[0] })];
        }

        public void Dispose() => Disposed = true;
    }
}
