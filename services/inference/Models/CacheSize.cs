namespace Fleet.Inference.Models;

/// <summary>
/// How many sequences fit. The cache of every slot is allocated when a model is loaded, so on a small machine the configured number
/// is cut until the caches take at most half of the memory the process may use.
/// </summary>
internal static class CacheSize
{
    private const int BytesPerValue = 2; // F16

    public static int Sequences(GgufHeader header, int contextTokens, int wanted) =>
        Sequences(BytesPerToken(header), contextTokens, wanted, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    public static int Sequences(long bytesPerToken, int contextTokens, int wanted, long memory) =>
        (int)Math.Clamp(memory / 2 / Math.Max(1, bytesPerToken * contextTokens), 1, wanted);

    /// <summary>Keys and values of all layers for one token; 0 when the header does not say.</summary>
    public static long BytesPerToken(GgufHeader header)
    {
        var layers = header.OfArchitecture("block_count") ?? 0;
        var heads = header.OfArchitecture("attention.head_count") ?? 0;
        var width = header.OfArchitecture("embedding_length") ?? 0;
        if (heads == 0)
            return 0;

        var keyWidth = header.OfArchitecture("attention.key_length") ?? width / heads;
        var valueWidth = header.OfArchitecture("attention.value_length") ?? width / heads;
        var sharedHeads = header.OfArchitecture("attention.head_count_kv") ?? heads;
        return layers * sharedHeads * (keyWidth + valueWidth) * BytesPerValue;
    }
}
