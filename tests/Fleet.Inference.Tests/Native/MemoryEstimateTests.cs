using System.Globalization;
using System.Text.RegularExpressions;
using Fleet.Inference.Models;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>The estimate against what llama.cpp says it has allocated (its log names every buffer with its size).</summary>
[Collection(nameof(NativeTests))]
public sealed partial class MemoryEstimateTests(NativeFixture native)
{
    public static TheoryData<string, int, int, int, bool, bool> Contexts { get; } = new()
    {
        { "tiny-llama", 512, 1, 64, false, true },
        { "tiny-llama", 512, 4, 512, false, true },
        { "tiny-llama", 2048, 8, 512, true, true },
        { "tiny-llama", 2048, 8, 512, true, false },
        { "small-llama", 300, 3, 256, false, true },
        { "small-llama", 2048, 4, 512, true, true },
        { "small-llama", 1024, 4, 512, false, false },
    };

    [Theory]
    [MemberData(nameof(Contexts))]
    public void Estimate_IsWhatTheLibraryAllocates(string model, int tokens, int sequences, int batch, bool unified, bool flash)
    {
        native.RequireLibraries();
        var layout = unified ? KvLayout.Unified : KvLayout.Separate;
        var header = GgufReader.Read(native.PathOf(model));
        var settings = new LlamaContextSettings { TokensPerSequence = tokens, Sequences = sequences, BatchTokens = batch, Threads = 1, Layout = layout, FlashAttention = flash ? FlashAttention.Auto : FlashAttention.Off };
        var estimate = MemoryEstimate.Of(ModelShape.Of(header), new ContextShape
        {
            TokensPerSequence = tokens,
            Sequences = sequences,
            BatchTokens = batch,
            Layout = layout,
            FlashAttention = flash,
        });

        var (weights, cache, scratch) = Measure(native.PathOf(model), settings);

        // Weights and cache are known exactly; of the scratch memory the order counts, and never much too little.
        Near(weights, estimate.HostWeights, 0.02);
        Near(cache, estimate.HostCache, 0.001);
        Assert.True(estimate.HostBuffers >= 0.9 * scratch, $"scratch {scratch:N0}, estimated {estimate.HostBuffers:N0}");
        Assert.True(estimate.HostBuffers <= 1.2 * scratch + (10 << 20), $"scratch {scratch:N0}, estimated {estimate.HostBuffers:N0}");
    }

    /// <summary>By hand, with FLEET_MODEL naming a large file: prints the error of each part.</summary>
    [Fact]
    public void Estimate_OfAModelByHand()
    {
        var path = Environment.GetEnvironmentVariable("FLEET_MODEL");
        Assert.SkipWhen(string.IsNullOrEmpty(path), "FLEET_MODEL names no file.");
        native.RequireLibraries();
        foreach (var (tokens, sequences, batch, layout) in ((int, int, int, KvLayout)[])[(4096, 1, 512, KvLayout.Separate), (4096, 8, 512, KvLayout.Unified), (2048, 16, 256, KvLayout.Separate), (8192, 16, 512, KvLayout.Unified)])
        {
            var (weights, cache, scratch) = Measure(path!, new LlamaContextSettings { TokensPerSequence = tokens, Sequences = sequences, BatchTokens = batch, Threads = 1, Layout = layout });
            var estimate = MemoryEstimate.Of(ModelShape.Of(GgufReader.Read(path!)), new ContextShape { TokensPerSequence = tokens, Sequences = sequences, BatchTokens = batch, Layout = layout });
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{layout} {sequences} x {tokens}, batch {batch}: weights {weights >> 20} est {estimate.HostWeights >> 20}, cache {cache >> 20} est {estimate.HostCache >> 20}, buffers {scratch >> 20} est {estimate.HostBuffers >> 20}, total error {100.0 * (estimate.Host - weights - cache - scratch) / (weights + cache + scratch):F1} %"));
        }
    }

    private static (long Weights, long Cache, long Scratch) Measure(string path, LlamaContextSettings settings)
    {
        var log = new List<string>();
        LlamaLog.Listen(log.Add);
        try
        {
            using var model = SafeLlamaModel.Load(path, 0, new Progress<float>(), CancellationToken.None);
            using var context = SafeLlamaContext.Create(model, settings);
            var mapped = Sum("_Mapped model buffer size");
            var repacked = Sum("REPACK model buffer size");
            return (Math.Max(mapped, Sum("CPU model buffer size") + repacked), Sum("KV buffer size"), Sum("compute buffer size") + Sum("output buffer size"));
        }
        finally
        {
            LlamaLog.Listen(null);
        }

        long Sum(string what) => (long)(log.Where(line => line.Contains(what, StringComparison.Ordinal)).Select(line => Size().Match(line))
            .Where(match => match.Success).Sum(match => double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)) * (1 << 20));
    }

    private static void Near(long measured, long estimated, double tolerance) =>
        Assert.True(Math.Abs(estimated - measured) <= tolerance * measured + (64 << 10), $"measured {measured:N0}, estimated {estimated:N0}");

    [GeneratedRegex(@"= +([0-9.]+) MiB")]
    private static partial Regex Size();
}
