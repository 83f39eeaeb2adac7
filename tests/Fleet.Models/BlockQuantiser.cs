using System.Buffers.Binary;

namespace Fleet.Models;

public enum Quantisation
{
    None,

    /// <summary>GGUF's Q4_0: 4 bits for each value and a scale for each 32.</summary>
    Q4,

    /// <summary>GGUF's Q8_0: 8 bits for each value and a scale for each 32.</summary>
    Q8,
}

/// <summary>Rounds floats to GGUF's two plainest block formats: 32 values share a 16-bit scale, which stands in front of them.</summary>
internal static class BlockQuantiser
{
    public const int BlockValues = 32;
    public const int Q8BlockBytes = 2 + BlockValues;
    public const int Q4BlockBytes = 2 + (BlockValues / 2);

    public static byte[] ToQ8(ReadOnlySpan<float> values)
    {
        var blocks = new byte[values.Length / BlockValues * Q8BlockBytes];
        for (var b = 0; b < values.Length / BlockValues; b++)
        {
            var block = values.Slice(b * BlockValues, BlockValues);
            var target = blocks.AsSpan(b * Q8BlockBytes, Q8BlockBytes);
            var scale = MathF.Abs(Largest(block)) / sbyte.MaxValue;
            BinaryPrimitives.WriteHalfLittleEndian(target, (Half)scale);
            for (var i = 0; i < BlockValues; i++)
                target[2 + i] = (byte)(sbyte)(scale == 0 ? 0 : MathF.Round(block[i] / scale));
        }

        return blocks;
    }

    public static byte[] ToQ4(ReadOnlySpan<float> values)
    {
        const int Half = BlockValues / 2;
        var blocks = new byte[values.Length / BlockValues * Q4BlockBytes];
        for (var b = 0; b < values.Length / BlockValues; b++)
        {
            var block = values.Slice(b * BlockValues, BlockValues);
            var target = blocks.AsSpan(b * Q4BlockBytes, Q4BlockBytes);
            // Numbers 0 to 15 stand for -8 to 7, so the value farthest from zero gets -8.
            var scale = Largest(block) / -8;
            BinaryPrimitives.WriteHalfLittleEndian(target, (System.Half)scale);
            for (var i = 0; i < Half; i++)
                target[2 + i] = (byte)(Number(block[i], scale) | Number(block[i + Half], scale) << 4);
        }

        return blocks;
    }

    private static int Number(float value, float scale) => scale == 0 ? 8 : Math.Clamp((int)MathF.Round(value / scale) + 8, 0, 15);

    /// <summary>The value farthest from zero, with its sign.</summary>
    private static float Largest(ReadOnlySpan<float> block)
    {
        var largest = 0f;
        foreach (var value in block)
        {
            if (MathF.Abs(value) > MathF.Abs(largest))
                largest = value;
        }

        return largest;
    }
}
