using System.Globalization;
using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>How a model will be loaded: its settings fitted into memory, and what it will then take.</summary>
internal sealed record ModelPlan
{
    /// <summary>The model's own options, with sequences, context and GPU layers as they will be.</summary>
    public required ModelSettings Settings { get; init; }

    public required ContextShape Context { get; init; }

    /// <summary>Layers on the GPU, the output counted as one; 0 without a GPU.</summary>
    public required int GpuLayers { get; init; }

    public required MemoryEstimate Memory { get; init; }
}

/// <summary>What a model holds, or will hold once its load has finished.</summary>
/// <param name="Resident">Already allocated, so the kernel counts it too.</param>
/// <param name="Evictable">Nobody uses it.</param>
internal readonly record struct MemoryUse(MemoryEstimate Memory, bool Resident, bool Evictable);

/// <summary>Fits models into memory before they are loaded: how many sequences, how many layers on the GPU, and whether there is room at all.</summary>
internal sealed class ModelMemory(MachineMemory machine, IOptions<ModelsOptions> models, IOptions<EngineOptions> engine)
{
    // Longer texts gain nothing from being embedded whole.
    private const int LongestEmbeddedText = 8192;

    private readonly ModelsOptions _options = models.Value;

    /// <param name="inMemory">What is loaded or being loaded now.</param>
    public ModelPlan Plan(ModelDescription model, IReadOnlyCollection<MemoryUse> inMemory)
    {
        var settings = ModelSettings.Of(_options.Of(model.Id), engine.Value);
        var shape = model.Shape;
        if (shape is null or { Known: false })
            return Unknown(model, settings);

        if (model.IsEncoder)
            shape = shape with { Layers = [.. shape.Layers.Select(layer => new LayerShape(layer.WeightBytes, 0, 0))] };

        var state = machine.Read();
        var context = model.Kind == ModelKind.Chat ? Wanted(shape, settings) : Embedding(shape, settings);
        var gpuLayers = GpuLayers(shape, context, settings, state, inMemory);
        if (settings.Cells == 0 && model.Kind == ModelKind.Chat)
            context = Fit(shape, context, gpuLayers, state);

        var fitted = settings.Engine.Copy();
        (fitted.MaxSequences, fitted.ContextTokens, fitted.GpuLayers) = (context.Sequences, context.TokensPerSequence, gpuLayers);
        return new ModelPlan
        {
            Settings = settings with { Engine = fitted, Cells = context.Cells },
            Context = context,
            GpuLayers = gpuLayers,
            Memory = MemoryEstimate.Of(shape, context, gpuLayers),
        };
    }

    /// <summary>Null when the plan's memory is free; else what is missing, for a person.</summary>
    public string? Shortage(ModelPlan plan, IReadOnlyCollection<MemoryUse> inMemory)
    {
        var needed = plan.Memory;
        if (_options.MemoryBudgetBytes > 0)
        {
            var used = inMemory.Sum(use => use.Memory.Total);
            return used + needed.Total <= _options.MemoryBudgetBytes
                ? null
                : $"{Needs(needed, needed.Total)}; {MiB(_options.MemoryBudgetBytes - used)} of the budget of {MiB(_options.MemoryBudgetBytes)} are free";
        }

        var state = machine.Read();
        var free = FreeHost(state, inMemory);
        if (needed.Host > free)
            return $"{Needs(needed, needed.Host)}; {MiB(free)} are free after a reserve of {MiB(_options.MemoryReserveBytes)}";

        var freeGpu = FreeGpu(state, inMemory, evict: false);
        return needed.Gpu > freeGpu ? $"it needs {MiB(needed.Gpu)} of GPU memory; {MiB(freeGpu)} are free after a reserve of {MiB(_options.GpuReserveBytes)} per GPU" : null;
    }

    private static ContextShape Wanted(ModelShape shape, ModelSettings settings) => new()
    {
        TokensPerSequence = settings.Engine.ContextTokens == 0 ? shape.TrainedContext : Math.Min(settings.Engine.ContextTokens, shape.TrainedContext),
        Sequences = settings.Engine.MaxSequences,
        Cells = settings.Cells,
        BatchTokens = settings.Engine.BatchTokens,
        KeyType = settings.KeyType,
        ValueType = settings.ValueType,
        FlashAttention = settings.FlashAttention != FlashAttention.Off,
        Layout = settings.Layout,
    };

    private static ContextShape Embedding(ModelShape shape, ModelSettings settings) => new()
    {
        TokensPerSequence = shape.TrainedContext,
        Sequences = settings.Engine.MaxSequences,
        BatchTokens = Math.Max(settings.Engine.BatchTokens, Math.Min(shape.TrainedContext, LongestEmbeddedText)),
        Embeddings = true,
    };

    // All caches together may take half of what there is; beyond that, fewer sequences at a time are better than no model.
    private ContextShape Fit(ModelShape shape, ContextShape wanted, int gpuLayers, MachineState state)
    {
        var capacity = _options.MemoryBudgetBytes > 0 ? _options.MemoryBudgetBytes
            : gpuLayers > shape.Layers.Count ? state.Gpus.Sum(gpu => gpu.TotalBytes - _options.GpuReserveBytes)
            : state.CapacityBytes - _options.MemoryReserveBytes;
        for (var sequences = wanted.Sequences; sequences > 1; sequences--)
        {
            var memory = MemoryEstimate.Of(shape, wanted with { Sequences = sequences }, gpuLayers);
            if (memory.HostCache + memory.GpuCache <= capacity / 2 && memory.Total <= capacity)
                return Cut(sequences);
        }

        return Cut(1);

        // One shared cache keeps its sequences: most conversations are shorter than the longest allowed.
        ContextShape Cut(int sequences) => sequences == wanted.Sequences ? wanted
            : wanted.Layout == KvLayout.Unified ? wanted with { Cells = Math.Max(1, sequences * wanted.TokensPerSequence) }
            : wanted with { Sequences = sequences };
    }

    private int GpuLayers(ModelShape shape, ContextShape context, ModelSettings settings, MachineState state, IReadOnlyCollection<MemoryUse> inMemory)
    {
        var all = shape.Layers.Count + 1;
        if (state.Gpus.Count == 0 || settings.GpuLayers == 0)
            return 0;
        if (settings.GpuLayers > 0)
            return Math.Min(settings.GpuLayers, all);

        // One sequence at full length decides: more layers beat more sequences.
        var single = context with { Sequences = 1, Cells = Math.Min(context.Cells, context.TokensPerSequence) };
        var free = FreeGpu(state, inMemory, evict: true);
        var layers = all;
        while (layers > 0 && MemoryEstimate.Of(shape, single, layers).Gpu > free)
            layers--;
        return layers;
    }

    private long FreeHost(MachineState state, IReadOnlyCollection<MemoryUse> inMemory)
    {
        // The kernel calls mapped weights reclaimable, but a model whose weights are pushed out stands still: count them as used.
        var byOurBooks = state.CapacityBytes - inMemory.Sum(use => use.Memory.Host);
        var byTheKernel = state.AvailableBytes - inMemory.Where(use => !use.Resident).Sum(use => use.Memory.Host);
        return Math.Max(0, Math.Min(byOurBooks, byTheKernel) - _options.MemoryReserveBytes);
    }

    private long FreeGpu(MachineState state, IReadOnlyCollection<MemoryUse> inMemory, bool evict) =>
        Math.Max(0, state.Gpus.Sum(gpu => Math.Max(0, gpu.FreeBytes - _options.GpuReserveBytes))
            - inMemory.Where(use => !use.Resident).Sum(use => use.Memory.Gpu)
            + (evict ? inMemory.Where(use => use is { Resident: true, Evictable: true }).Sum(use => use.Memory.Gpu) : 0));

    private static ModelPlan Unknown(ModelDescription model, ModelSettings settings) => new()
    {
        Settings = settings,
        Context = new ContextShape { TokensPerSequence = Math.Max(1, settings.Engine.ContextTokens), Sequences = settings.Engine.MaxSequences, BatchTokens = settings.Engine.BatchTokens },
        GpuLayers = 0,
        // Better than nothing for a file whose header says too little: the weights and a tenth.
        Memory = new MemoryEstimate { HostWeights = model.SizeBytes, HostBuffers = model.SizeBytes / 10 },
    };

    private static string Needs(MemoryEstimate memory, long total) => string.Create(CultureInfo.InvariantCulture,
        $"it needs {MiB(total)} (weights {MiB(memory.HostWeights)}, cache {MiB(memory.HostCache)}, buffers {MiB(memory.HostBuffers)})");

    private static string MiB(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, bytes) >> 20} MiB");
}
