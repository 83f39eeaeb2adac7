using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Models;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models;

public sealed class ModelMemoryTests
{
    private const long GiB = 1L << 30;

    // 32 layers of 100 MiB, grouped heads: 128 KiB of cache per token.
    private static readonly ModelShape Shape = new()
    {
        Layers = [.. Enumerable.Repeat(new LayerShape(100 << 20, 1024, 1024), 32)],
        InputBytes = 300 << 20,
        OutputBytes = 300 << 20,
        Vocabulary = 128_000,
        Width = 4096,
        FeedForward = 14_336,
        Heads = 32,
        QueryWidth = 4096,
        TrainedContext = 32_768,
        Known = true,
    };

    [Fact]
    public void Plan_EnoughMemory_IsWhatWasAskedFor()
    {
        var plan = Plan(GpuFree(0), options => { });

        Assert.Equal((4096, 8, 0), (plan.Context.TokensPerSequence, plan.Context.Sequences, plan.GpuLayers));
        Assert.Equal(8L * 4096 * 32 * 2048 * 2, plan.Memory.HostCache);
        Assert.Equal((32L * 100 + 600) << 20, plan.Memory.HostWeights);
    }

    [Fact]
    public void Plan_SmallMachine_HasFewerSequencesOrASmallerSharedCache()
    {
        var separate = Plan(GpuFree(0), options => options.KvLayout = KvLayout.Separate, capacity: 7 * GiB);
        var unified = Plan(GpuFree(0), options => options.KvLayout = KvLayout.Unified, capacity: 7 * GiB);

        Assert.InRange(separate.Context.Sequences, 1, 7);
        Assert.True(separate.Memory.Total <= 7 * GiB);
        Assert.Equal((8, separate.Context.Sequences * 4096), (unified.Context.Sequences, unified.Context.Cells));
        Assert.Equal(separate.Context.Sequences, separate.Settings.Engine.MaxSequences);
    }

    [Fact]
    public void Plan_QuantisedCache_TakesLess()
    {
        var plan = Plan(GpuFree(0), options => (options.KeyType, options.ValueType) = (KvType.Q8_0, KvType.Q4_0));

        Assert.Equal(8L * 4096 * 32 * (1024 / 32 * 34 + 1024 / 32 * 18), plan.Memory.HostCache);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(3, 12)]
    [InlineData(40, 33)]
    public void Plan_Gpu_TakesAsManyLayersAsFit(int freeGiB, int atLeast)
    {
        var plan = Plan(GpuFree(freeGiB), options => options.MaxSequences = 1);

        Assert.InRange(plan.GpuLayers, atLeast, 33);
        Assert.True(plan.Memory.Gpu <= freeGiB * GiB - (768 << 20) || plan.GpuLayers == 0);
        if (plan.GpuLayers is > 0 and < 33)
            Assert.True(MemoryEstimate.Of(Shape, plan.Context, plan.GpuLayers + 1).Gpu > freeGiB * GiB - (768 << 20), "one more layer would have fitted");
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 5)]
    [InlineData(1000, 33)]
    public void Plan_LayersByOption_AreTaken(int asked, int layers) => Assert.Equal(layers, Plan(GpuFree(40), options => options.GpuLayers = asked).GpuLayers);

    [Fact]
    public void Plan_IdleModelOnTheGpu_IsWorthNoLayers()
    {
        var idle = new MemoryUse(new MemoryEstimate { GpuWeights = 30 * GiB }, Resident: true, Evictable: true);

        Assert.Equal(33, Plan(GpuFree(1), options => options.MaxSequences = 1, uses: [idle]).GpuLayers);
    }

    [Fact]
    public void Shortage_CountsWhatIsLoadedAndWhatIsBeingLoaded()
    {
        var memory = Memory(GpuFree(0), _ => { }, 24 * GiB);
        var plan = memory.Plan(Model, []);
        var loading = new MemoryUse(new MemoryEstimate { HostWeights = 16 * GiB }, Resident: false, Evictable: false);

        Assert.Null(memory.Shortage(plan, []));
        var shortage = memory.Shortage(plan, [loading]);
        Assert.Contains("MiB are free", shortage, StringComparison.Ordinal);
        Assert.Contains("weights 3800 MiB", shortage, StringComparison.Ordinal);
    }

    [Fact]
    public void Shape_PerLayerArraysLatentAndHybrid_CountWhatIsKept()
    {
        var variable = ModelShape.Of(Header(file => file.Set("x.attention.head_count", 8u).Set("x.attention.head_count_kv", (int[])[4, 0, 2])));
        var latent = ModelShape.Of(Header(file => file.Set("x.attention.head_count", 8u).Set("x.attention.head_count_kv", 1u).Set("x.attention.key_length", 576u)
            .Set("x.attention.key_length_mla", 192u).Set("x.attention.value_length_mla", 128u)));
        var hybrid = ModelShape.Of(Header(file => file.Set("x.attention.head_count", 8u).Set("x.full_attention_interval", 3u)
            .Set("x.ssm.inner_size", 128u).Set("x.ssm.state_size", 16u).Set("x.ssm.conv_kernel", 4u).Set("x.ssm.group_count", 1u)));
        var shared = ModelShape.Of(Header(file => file.Set("x.attention.head_count", 8u).Set("x.attention.shared_kv_layers", 1u)));

        Assert.Equal([32, 0, 16], variable.Layers.Select(layer => layer.KeyWidth));
        Assert.All(latent.Layers, layer => Assert.Equal((576, 0), (layer.KeyWidth, layer.ValueWidth)));
        Assert.Equal([0, 0, 64], hybrid.Layers.Select(layer => layer.KeyWidth));
        Assert.Equal(2 * (3 * (128 + 32) + 128 * 16), hybrid.RecurrentValues);
        Assert.Equal([64, 64, 0], shared.Layers.Select(layer => layer.KeyWidth));
    }

    [Fact]
    public void Settings_ModelsOwnOptionsWin()
    {
        var settings = ModelSettings.Of(new ModelOptions { ContextTokens = 128, MaxSequences = 20, Threads = 3, KeyType = KvType.Q8_0 }, new EngineOptions { BatchTokens = 18, MaxQueuedRequests = 7 });

        Assert.Equal((128, 20, 21, 3, 7), (settings.Engine.ContextTokens, settings.Engine.MaxSequences, settings.Engine.BatchTokens, settings.Engine.Threads, settings.Engine.MaxQueuedRequests));
        Assert.Equal((KvType.Q8_0, KvType.F16), (settings.KeyType, settings.ValueType));
    }

    private static ModelDescription Model { get; } = new() { Id = "m", Kind = ModelKind.Chat, Path = "/m.gguf", Shape = Shape };

    private static IReadOnlyList<NativeDevice> GpuFree(int freeGiB) => freeGiB == 0 ? [] : [new NativeDevice("GPU0", "", freeGiB * GiB, 80 * GiB, true)];

    private static ModelPlan Plan(IReadOnlyList<NativeDevice> devices, Action<ModelOptions> configure, long capacity = 64 * GiB, IReadOnlyList<MemoryUse>? uses = null) =>
        Memory(devices, configure, capacity).Plan(Model, uses ?? []);

    private static ModelMemory Memory(IReadOnlyList<NativeDevice> devices, Action<ModelOptions> configure, long capacity)
    {
        var options = new ModelsOptions { MemoryReserveBytes = 0 };
        configure(options.Models["m"] = new ModelOptions());
        var root = Directory.CreateTempSubdirectory("fleet-machine-").FullName;
        Directory.CreateDirectory(Path.Combine(root, "proc"));
        File.WriteAllText(Path.Combine(root, "proc/meminfo"), $"MemTotal: {capacity >> 10} kB\nMemAvailable: {capacity >> 10} kB\n");
        return new ModelMemory(new MachineMemory(() => devices, root), Options.Create(options), Options.Create(new EngineOptions()));
    }

    private static GgufHeader Header(Action<GgufWriter> write)
    {
        var file = new GgufWriter().Set("general.architecture", "x").Set("x.block_count", 3u).Set("x.embedding_length", 64u);
        write(file);
        using var stream = new MemoryStream(file.Tensor("blk.0.attn_q.weight", new float[64], 64).ToArray());
        return GgufReader.Read(stream);
    }
}
