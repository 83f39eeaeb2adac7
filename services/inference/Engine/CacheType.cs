namespace Fleet.Inference.Engine;

/// <summary>How the cache stores a value, by ggml's numbers.</summary>
internal enum CacheType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    IQ4_NL = 20,
    BF16 = 30,
}

internal enum FlashAttention
{
    /// <summary>On wherever every device can do it.</summary>
    Auto,
    On,
    Off,
}

internal enum KvLayout
{
    /// <summary>One cache: sequences with the same beginning share it.</summary>
    Unified,

    /// <summary>A cache for each sequence: results depend less on what else runs, and many private conversations run faster.</summary>
    Separate,
}

internal static class CacheTypes
{
    public static bool IsQuantised(this CacheType type) => type is not (CacheType.F32 or CacheType.F16 or CacheType.BF16);
}
