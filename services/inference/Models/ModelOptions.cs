using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>How one model differs from the defaults (Inference:Models:&lt;id&gt;:...). What is not set is as the service's own options say.</summary>
internal sealed class ModelOptions
{
    public static ModelOptions None { get; } = new();

    /// <summary>Tokens of context per reply, prompt included; never more than the model was trained for. 0 = all it was trained for.</summary>
    public int? ContextTokens { get; set; }

    /// <summary>Tokens the whole cache holds, all sequences together. 0 = <see cref="ContextTokens"/> times <see cref="MaxSequences"/>, less when memory is short.</summary>
    public int? Cells { get; set; }

    /// <summary>Replies generated at a time.</summary>
    public int? MaxSequences { get; set; }

    /// <summary>Tokens one decode computes at most.</summary>
    public int? BatchTokens { get; set; }

    /// <summary>How keys are stored in the cache. A quantised type must divide the width of a head (blocks of 32).</summary>
    public KvType? KeyType { get; set; }

    /// <summary>How values are stored in the cache. A quantised type needs flash attention.</summary>
    public KvType? ValueType { get; set; }

    public FlashAttention? FlashAttention { get; set; }

    /// <summary>Whether sequences share one cache (prefixes are then computed once) or have their own.</summary>
    public KvLayout? KvLayout { get; set; }

    /// <summary>Layers to put on a GPU; -1 = as many as fit, 0 = none.</summary>
    public int? GpuLayers { get; set; }

    /// <summary>Threads that compute; 0 = automatic.</summary>
    public int? Threads { get; set; }

    /// <summary>What the model is for: chat, embedding, reranker, guard, orchestrator, description, customer-service, or a name of one's own.</summary>
    public IList<string> Roles { get; } = [];

    /// <summary>Models (or role:&lt;name&gt;) tried in this order when this one is missing, failed, out of memory or its circuit is open.</summary>
    public IList<string> FallBack { get; } = [];

    /// <summary>Load when the service starts; it is not ready before.</summary>
    public bool Preload { get; set; }

    /// <summary>How long the unused model stays in memory; zero = not at all, negative = until the memory is needed.</summary>
    public TimeSpan? KeepAlive { get; set; }

    /// <summary>Adapter files beside those whose name begins with the model's; relative to the models directory.</summary>
    public IList<string> Adapters { get; } = [];

    /// <summary>What is wrong, by setting; empty when all is well.</summary>
    public IEnumerable<(string Setting, string Problem)> Problems(string id)
    {
        if (OutOf(ContextTokens, 0, 16 * 1024 * 1024) is { } context)
            yield return (nameof(ContextTokens), context);
        if (OutOf(Cells, 0, int.MaxValue) is { } cells)
            yield return (nameof(Cells), cells);
        if (OutOf(MaxSequences, 1, 256) is { } sequences)
            yield return (nameof(MaxSequences), sequences);
        if (OutOf(BatchTokens, 16, 16_384) is { } batch)
            yield return (nameof(BatchTokens), batch);
        if (OutOf(GpuLayers, -1, 10_000) is { } layers)
            yield return (nameof(GpuLayers), layers);
        if (OutOf(Threads, 0, 1024) is { } threads)
            yield return (nameof(Threads), threads);
        if (BatchTokens <= MaxSequences)
            yield return (nameof(BatchTokens), $"is {BatchTokens}; it must be larger than MaxSequences, which is {MaxSequences}.");
        if (ValueType is not (null or KvType.F16) && FlashAttention == Native.FlashAttention.Off)
            yield return (nameof(ValueType), $"is {ValueType}; values are only quantised with flash attention, which is off.");
        if (Roles.Any(string.IsNullOrWhiteSpace))
            yield return (nameof(Roles), "names a role without a name.");
        if (FallBack.Any(string.IsNullOrWhiteSpace))
            yield return (nameof(FallBack), "names a model without a name.");
        if (FallBack.Contains(id, StringComparer.OrdinalIgnoreCase))
            yield return (nameof(FallBack), "names the model itself.");
    }

    private static string? OutOf(int? value, int lowest, int highest) =>
        value is { } given && (given < lowest || given > highest) ? $"is {given}; it must be between {lowest} and {highest}." : null;
}
