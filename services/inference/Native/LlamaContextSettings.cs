namespace Fleet.Inference.Native;

/// <summary>How keys and values are kept; the numbers are ggml's. Quantised kinds need flash attention and a head size divisible by 32.</summary>
internal enum KvType
{
    F16 = 1,
    Q4_0 = 2,
    Q8_0 = 8,
}

internal enum FlashAttention
{
    /// <summary>Where the backend can; the processor's can.</summary>
    Auto = -1,
    Off = 0,
    On = 1,
}

/// <summary>How the vectors of a text's tokens become one; the numbers are llama.cpp's.</summary>
internal enum PoolingType
{
    None = 0,
    Mean = 1,

    /// <summary>The first token's.</summary>
    First = 2,

    /// <summary>The last token's.</summary>
    Last = 3,

    /// <summary>A classification head on the first or last token.</summary>
    Rank = 4,
}

/// <summary>How a context's cells belong to its sequences.</summary>
internal enum KvLayout
{
    /// <summary>One pool for all: any sequence may take any cell, and cells may belong to several sequences, so that prefixes are shared.</summary>
    Unified,

    /// <summary>An equal part for each sequence: faster when many private sequences run, and results do not depend on the others.</summary>
    Separate,
}

/// <summary>How a context is to be made; sizes are asked for, read back what was given.</summary>
internal sealed record LlamaContextSettings
{
    /// <summary>Positions one sequence may hold; llama.cpp rounds up to 256.</summary>
    public required int TokensPerSequence { get; init; }

    /// <summary>Sequences that are computed together. A unified context has ids beyond these for what is only kept: <see cref="SafeLlamaContext.SequenceIds"/>.</summary>
    public required int Sequences { get; init; }

    /// <summary>Cells of all sequences together; 0 = enough for all of them at full length. Separate: each has its equal part.</summary>
    public int Cells { get; init; }

    public required int BatchTokens { get; init; }

    /// <summary>Tokens one run of the graph takes; 0 = up to 512.</summary>
    public int MicroBatchTokens { get; init; }

    public required int Threads { get; init; }

    /// <summary>Pooled embeddings instead of logits; the cache is then one for all sequences.</summary>
    public bool Embeddings { get; init; }

    public KvLayout Layout { get; init; } = KvLayout.Unified;

    public KvType KeyType { get; init; } = KvType.F16;

    public KvType ValueType { get; init; } = KvType.F16;

    public FlashAttention FlashAttention { get; init; } = FlashAttention.Auto;

    /// <summary>Keeps the cache on the GPU with the layers that are there.</summary>
    public bool OffloadKqv { get; init; } = true;
}
