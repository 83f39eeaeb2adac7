using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>The cache operations the scheduler relies on, on the real library, and what must be refused before it is reached.</summary>
[Collection(nameof(NativeTests))]
public sealed class LlamaContextTests(NativeFixture native)
{
    // Two runs of the same tokens differ by how the columns were grouped (llama-native.md, section 6); on the tiny model far below this.
    private const float Tolerance = 1e-2f;

    private static readonly int[] Prompt = [.. Enumerable.Range(0, 40).Select(i => 5 + i * 7 % 300)];

    private static readonly LlamaContextSettings Unified = new() { TokensPerSequence = 256, Sequences = 4, Cells = 512, BatchTokens = 64, Threads = 1, Layout = KvLayout.Unified };

    private static readonly LlamaContextSettings Separate = Unified with { Cells = 1024, Layout = KvLayout.Separate };

    [Theory]
    [InlineData(KvLayout.Unified)]
    [InlineData(KvLayout.Separate)]
    public void Copy_OfAPart_ContinuesLikeAFreshSequence(object layout)
    {
        using var sequences = Open((KvLayout)layout == KvLayout.Unified ? Unified : Separate);
        sequences.Compute(0, Prompt);
        var fresh = sequences.Compute(1, [.. Prompt[..30], 100, 101]);

        sequences.Context.Copy(0, 2, 30);
        var shared = sequences.Compute(2, [100, 101], from: 30);

        AssertClose(fresh, shared);
        Assert.Equal((40, 32, 32), (sequences.Context.CachedTokens(0), sequences.Context.CachedTokens(1), sequences.Context.CachedTokens(2)));
    }

    [Fact]
    public void Copy_Unified_TakesNoCells()
    {
        using var sequences = Open(Unified with { Cells = 256 });
        sequences.Compute(0, [.. Enumerable.Repeat(Prompt, 5).SelectMany(part => part)]);

        for (var target = 1; target < 40; target++)
            sequences.Context.Copy(0, target, 190);

        // 200 of 256 cells are used, whoever shares them.
        Assert.NotNull(sequences.Compute(1, Prompt, from: 190));
    }

    [Fact]
    public void Trim_ThenGoOn_EqualsAFreshSequence()
    {
        using var sequences = Open(Unified);
        var fresh = sequences.Compute(0, [.. Prompt[..20], 9]);
        sequences.Compute(1, Prompt);

        Assert.True(sequences.Context.Trim(1, 20));

        AssertClose(fresh, sequences.Compute(1, [9], from: 20));
    }

    [Theory]
    [InlineData(KvLayout.Unified)]
    [InlineData(KvLayout.Separate)]
    public void State_LoadedIntoAnotherContext_ContinuesTheSame(object layout)
    {
        var settings = (KvLayout)layout == KvLayout.Unified ? Unified : Separate;
        byte[] state;
        float[] expected;
        using (var first = Open(settings))
        {
            first.Compute(1, Prompt);
            state = first.Context.SaveState(1);
            expected = first.Compute(1, [50], from: Prompt.Length);
        }

        using var second = Open(settings);

        Assert.True(second.Context.LoadState(3, state, Prompt.Length));
        Assert.Equal(expected, second.Compute(3, [50], from: Prompt.Length));
    }

    [Fact]
    public void State_CutOrOfAnotherShape_IsRefusedAndLeavesNothing()
    {
        byte[] state;
        using (var first = Open(Unified))
        {
            first.Compute(0, Prompt);
            state = first.Context.SaveState(0);
        }

        using var same = Open(Unified);
        Assert.False(same.Context.LoadState(0, state.AsSpan(0, state.Length / 2), Prompt.Length));
        Assert.False(same.Context.LoadState(0, [], Prompt.Length));
        Assert.False(same.Context.LoadState(0, state, Prompt.Length + 1));
        Assert.Equal(0, same.Context.CachedTokens(0));

        using var other = Open(Separate);
        Assert.False(other.Context.LoadState(0, state, Prompt.Length));
    }

    [Fact]
    public void Ids_Ranges_AndTargetsThatWouldAbort_AreRefused()
    {
        using var separate = Open(Separate);
        separate.Compute(0, Prompt);
        var context = separate.Context;

        Assert.Throws<ArgumentOutOfRangeException>(() => context.Copy(0, 4, 10));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Copy(-1, 1, 10));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Copy(0, 0, 10));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Copy(0, 1, 41));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Copy(0, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Trim(4, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.Trim(0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.SaveState(256));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.SetThreads(0));
        Assert.Throws<ArgumentException>(() => context.SetAdapters([new LlamaAdapterUse(0, 1)]));
        context.Copy(0, 1, 10);
        Assert.Throws<InvalidOperationException>(() => context.Copy(0, 1, 10));
        Assert.Throws<InvalidOperationException>(() => context.LoadState(1, [1, 2, 3], 10));
        Assert.Throws<ArgumentOutOfRangeException>(() => Open(Unified with { Sequences = 257 }));
    }

    [Fact]
    public void Decode_PastItsTime_IsAbortedAndCanBeTakenUpAgain()
    {
        using var sequences = Open(Unified);
        sequences.Compute(0, Prompt);
        var expected = sequences.Compute(1, [.. Prompt, 50]);

        Assert.Equal(DecodeStatus.Aborted, sequences.TryCompute(0, [50], Prompt.Length, TimeSpan.Zero));
        Assert.True(sequences.Context.Trim(0, Prompt.Length));

        AssertClose(expected, sequences.Compute(0, [50], from: Prompt.Length));
    }

    [Fact]
    public void Abort_EndsEveryDecode()
    {
        using var sequences = Open(Unified);

        sequences.Context.Abort();

        Assert.Equal(DecodeStatus.Aborted, sequences.TryCompute(0, Prompt, 0, Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void SetThreads_ForthAndBack_ChangesNoResult()
    {
        using var sequences = Open(Unified);
        var expected = sequences.Compute(0, Prompt);

        foreach (var threads in (int[])[2, 1, 2])
        {
            sequences.Context.SetThreads(threads);
            sequences.Context.Clear(0);
            Assert.Equal(expected, sequences.Compute(0, Prompt));
        }
    }

    [Fact]
    public void QuantisedValues_ThatDoNotFitTheHeads_AreRefusedWithTheReason()
    {
        native.RequireLibraries();
        using var model = Load();

        // 16 values a head; a block of Q8_0 is 32.
        var exception = Assert.Throws<LlamaException>(() => SafeLlamaContext.Create(model, Unified with { ValueType = KvType.Q8_0 }));

        Assert.NotEmpty(exception.Message);
    }

    private static void AssertClose(float[] expected, float[] actual) =>
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, Tolerance));

    private SafeLlamaModel Load() => SafeLlamaModel.Load(native.PathOf("tiny-llama"), 0, new Progress<float>(), CancellationToken.None);

    private Sequences Open(LlamaContextSettings settings)
    {
        native.RequireLibraries();
        var model = Load();
        try
        {
            return new Sequences(model, SafeLlamaContext.Create(model, settings));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private sealed class Sequences(SafeLlamaModel model, SafeLlamaContext context) : IDisposable
    {
        private readonly LlamaBatch _batch = new(context.BatchTokens);

        public SafeLlamaContext Context => context;

        /// <summary>Computes tokens in chunks and returns the last row of logits.</summary>
        public float[] Compute(int sequence, int[] tokens, int from = 0)
        {
            foreach (var chunk in tokens.Index().Chunk(context.BatchTokens))
                Assert.Equal(DecodeStatus.Done, TryCompute(sequence, [.. chunk.Select(entry => entry.Item)], from + chunk[0].Index, Timeout.InfiniteTimeSpan));
            return context.Logits(_batch.Count - 1).ToArray();
        }

        public DecodeStatus TryCompute(int sequence, int[] tokens, int from, TimeSpan limit)
        {
            _batch.Clear();
            for (var i = 0; i < tokens.Length; i++)
                _batch.Add(tokens[i], from + i, sequence, output: i == tokens.Length - 1);
            return context.Decode(_batch, limit);
        }

        public void Dispose()
        {
            _batch.Dispose();
            context.Dispose();
            model.Dispose();
        }
    }
}
