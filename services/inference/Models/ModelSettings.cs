using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>One model's options after the defaults: what was asked for, before it is fitted into memory.</summary>
internal sealed record ModelSettings
{
    private static readonly KvLayout DefaultLayout = new LlamaContextSettings { TokensPerSequence = 1, Sequences = 1, BatchTokens = 1, Threads = 1 }.Layout;

    public required EngineOptions Engine { get; init; }

    /// <summary>0 = as many as the sequences need.</summary>
    public int Cells { get; init; }

    public KvType KeyType { get; init; } = KvType.F16;

    public KvType ValueType { get; init; } = KvType.F16;

    public FlashAttention FlashAttention { get; init; } = FlashAttention.Auto;

    public KvLayout Layout { get; init; } = DefaultLayout;

    /// <summary>-1 = as many as fit.</summary>
    public int GpuLayers => Engine.GpuLayers;

    public static ModelSettings Of(ModelOptions model, EngineOptions defaults)
    {
        var engine = defaults.Copy();
        engine.ContextTokens = model.ContextTokens ?? defaults.ContextTokens;
        engine.MaxSequences = model.MaxSequences ?? defaults.MaxSequences;
        // A batch holds a token of every sequence and some of a prompt.
        engine.BatchTokens = model.BatchTokens ?? Math.Max(defaults.BatchTokens, engine.MaxSequences + 1);
        engine.GpuLayers = model.GpuLayers ?? defaults.GpuLayers;
        engine.Threads = model.Threads ?? defaults.Threads;
        engine.KvLayout = model.KvLayout ?? defaults.KvLayout;
        return new ModelSettings
        {
            Engine = engine,
            Cells = model.Cells ?? 0,
            KeyType = model.KeyType ?? KvType.F16,
            ValueType = model.ValueType ?? KvType.F16,
            FlashAttention = model.FlashAttention ?? FlashAttention.Auto,
            Layout = engine.KvLayout ?? DefaultLayout,
        };
    }
}
