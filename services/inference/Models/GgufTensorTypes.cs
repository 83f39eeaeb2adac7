using System.Collections.Frozen;

namespace Fleet.Inference.Models;

/// <summary>How ggml stores a tensor type: this many elements in this many bytes (ggml.c, type traits of v0.5.0).</summary>
internal readonly record struct GgufTensorFormat(string Name, int BlockElements, int BlockBytes);

internal static class GgufTensorTypes
{
    private static readonly FrozenDictionary<int, GgufTensorFormat> Formats = new Dictionary<int, GgufTensorFormat>
    {
        [0] = new("F32", 1, 4),
        [1] = new("F16", 1, 2),
        [2] = new("Q4_0", 32, 18),
        [3] = new("Q4_1", 32, 20),
        [6] = new("Q5_0", 32, 22),
        [7] = new("Q5_1", 32, 24),
        [8] = new("Q8_0", 32, 34),
        [10] = new("Q2_K", 256, 84),
        [11] = new("Q3_K", 256, 110),
        [12] = new("Q4_K", 256, 144),
        [13] = new("Q5_K", 256, 176),
        [14] = new("Q6_K", 256, 210),
        [20] = new("IQ4_NL", 32, 18),
        [23] = new("IQ4_XS", 256, 136),
        [30] = new("BF16", 1, 2),
    }.ToFrozenDictionary();

    /// <summary>Null for a type not in the table; llama.cpp then checks its size itself.</summary>
    public static GgufTensorFormat? Find(int type) => Formats.TryGetValue(type, out var format) ? format : null;
}
