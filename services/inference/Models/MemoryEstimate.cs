using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>How a generator's context is to be made, as far as its memory depends on it.</summary>
internal sealed record ContextShape
{
    public required int TokensPerSequence { get; init; }

    public required int Sequences { get; init; }

    /// <summary>Of all sequences together; 0 = enough for all of them at full length.</summary>
    public int Cells { get; init; }

    public required int BatchTokens { get; init; }

    public KvType KeyType { get; init; } = KvType.F16;

    public KvType ValueType { get; init; } = KvType.F16;

    public bool FlashAttention { get; init; } = true;

    public KvLayout Layout { get; init; } = KvLayout.Unified;

    /// <summary>No logits and hardly any cache.</summary>
    public bool Embeddings { get; init; }
}

/// <summary>
/// Memory a loaded model takes, computed from its header before loading. Follows what llama.cpp reserves: the cache of every layer at full size
/// (windowed layers too, as contexts are made), scratch memory for the widest step of the graph, a row of scores per sequence.
/// </summary>
internal sealed record MemoryEstimate
{
    // llama.cpp's n_ubatch; a longer batch is computed in pieces of this size.
    private const int MicroBatch = 512;

    // Contexts, tables of the tokenizer, graphs: measured 4 to 12 MiB plus about 150 bytes a token.
    private const long Fixed = 8L << 20;
    private const int VocabularyEntryBytes = 160;

    public static MemoryEstimate None { get; } = new();

    /// <summary>Weights the processor uses.</summary>
    public long HostWeights { get; init; }

    public long HostCache { get; init; }

    /// <summary>Scratch memory, results and tables.</summary>
    public long HostBuffers { get; init; }

    public long GpuWeights { get; init; }

    public long GpuCache { get; init; }

    public long GpuBuffers { get; init; }

    public long Host => HostWeights + HostCache + HostBuffers;

    public long Gpu => GpuWeights + GpuCache + GpuBuffers;

    public long Total => Host + Gpu;

    /// <param name="gpuLayers">Layers on the GPU, the output counted as one: the last ones, as llama.cpp takes them.</param>
    public static MemoryEstimate Of(ModelShape model, ContextShape context, int gpuLayers = 0)
    {
        var cells = Cells(context);
        var (hostWeights, gpuWeights, hostCache, gpuCache) = (model.InputBytes, 0L, 0L, 0L);
        var firstOnGpu = model.Layers.Count + 1 - Math.Clamp(gpuLayers, 0, model.Layers.Count + 1);
        for (var i = 0; i < model.Layers.Count; i++)
        {
            var cache = CacheBytes(model.Layers[i], context, cells);
            if (i < firstOnGpu)
                (hostWeights, hostCache) = (hostWeights + model.Layers[i].WeightBytes, hostCache + cache);
            else
                (gpuWeights, gpuCache) = (gpuWeights + model.Layers[i].WeightBytes, gpuCache + cache);
        }

        // Without a matrix of its own the output uses the token embeddings: on the GPU that is a second copy.
        if (gpuLayers > 0)
            gpuWeights += model.OutputBytes > model.Width * 8L ? model.OutputBytes : model.OutputBytes + model.InputBytes;
        else
            hostWeights += model.OutputBytes;

        var recurrent = model.RecurrentValues * sizeof(float) * context.Sequences;
        var scratch = ScratchBytes(model, context, cells);
        var results = (context.Embeddings ? model.Width : (long)model.Vocabulary) * sizeof(float) * context.Sequences;
        return new MemoryEstimate
        {
            HostWeights = hostWeights,
            HostCache = hostCache + (gpuLayers > 0 ? 0 : recurrent),
            HostBuffers = Fixed + (long)model.Vocabulary * VocabularyEntryBytes + results + (gpuLayers > model.Layers.Count ? StepTokens(context) * model.Width * sizeof(float) + MaskBytes(context, cells) : scratch),
            GpuWeights = gpuWeights,
            GpuCache = gpuCache + (gpuLayers > 0 ? recurrent : 0),
            GpuBuffers = gpuLayers > 0 ? scratch : 0,
        };
    }

    public static long Cells(ContextShape context)
    {
        if (context.Embeddings)
            return RoundUp(context.BatchTokens);
        if (context.Cells == 0)
            return (long)RoundUp(context.TokensPerSequence) * context.Sequences;
        return context.Layout == KvLayout.Unified ? RoundUp(context.Cells) : (long)RoundUp(context.Cells / context.Sequences) * context.Sequences;
    }

    private static long CacheBytes(LayerShape layer, ContextShape context, long cells) =>
        cells * (Bytes(context.KeyType, layer.KeyWidth) + Bytes(context.ValueType, layer.ValueWidth));

    // Blocks of 32 values with their scale.
    private static long Bytes(KvType type, int values) => type switch
    {
        KvType.Q8_0 => (values + 31) / 32 * 34L,
        KvType.Q4_0 => (values + 31) / 32 * 18L,
        _ => values * 2L,
    };

    // Memory of a finished step is used again by the next, so the widest one counts: for most models the scores of a micro-batch against the
    // whole vocabulary, else the feed-forward part or the attention of one layer.
    private static long ScratchBytes(ModelShape model, ContextShape context, long cells)
    {
        var tokens = StepTokens(context);
        var residual = 2 * tokens * model.Width;
        var output = context.Embeddings ? 0 : tokens * model.Vocabulary;
        var feedForward = 3 * tokens * model.FeedForward;
        var cached = model.Layers.Count == 0 ? 0 : model.Layers.Max(layer => layer.KeyWidth + layer.ValueWidth);
        var attention = tokens * (2L * model.QueryWidth + cached) + (context.FlashAttention ? 0 : tokens * model.Heads * Visible(context, cells));
        return residual * sizeof(float) + Math.Max(output * sizeof(float), Math.Max(feedForward, attention) * sizeof(float) + MaskBytes(context, cells));
    }

    // Which cells each token may see; flash attention reads it at half precision.
    private static long MaskBytes(ContextShape context, long cells) =>
        StepTokens(context) * Visible(context, cells) * (context.FlashAttention ? 2 : sizeof(float));

    private static long Visible(ContextShape context, long cells) => context.Layout == KvLayout.Unified ? cells : cells / context.Sequences;

    private static long StepTokens(ContextShape context) => context.Embeddings ? context.BatchTokens : Math.Min(MicroBatch, context.BatchTokens);

    private static int RoundUp(int tokens) => (int)Math.Min((tokens + 255L) / 256 * 256, int.MaxValue);
}
