using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// A model's scores with a few tokens' scores replaced. The row itself is llama.cpp's memory and is neither copied nor changed: the replaced
/// tokens (ascending) cut it into runs, and every pass goes over the runs and then over the replacements. NaN is never a candidate.
/// </summary>
internal readonly ref struct ScoreRow(ReadOnlySpan<float> row, ReadOnlySpan<int> replaced, ReadOnlySpan<float> replacements)
{
    private const int LargestBlock = 4096;
    private const int SmallestBlock = 64;

    private readonly ReadOnlySpan<float> _row = row;
    private readonly ReadOnlySpan<int> _replaced = replaced;
    private readonly ReadOnlySpan<float> _replacements = replacements;

    public int Length => _row.Length;

    public float this[int token]
    {
        get
        {
            var at = _replaced.BinarySearch(token);
            return at < 0 ? _row[token] : _replacements[at];
        }
    }

    /// <summary>The highest score; of equals the lowest token. Negative infinity when there is nothing to choose from.</summary>
    public (int Token, float Score) Best()
    {
        var (token, score) = (0, float.NegativeInfinity);
        var start = 0;
        for (var run = 0; run <= _replaced.Length; run++)
        {
            var end = run < _replaced.Length ? _replaced[run] : _row.Length;
            for (var block = start; block < end; block += LargestBlock)
            {
                // The block is still in the first-level cache when its best is looked up.
                var values = _row[block..Math.Min(block + LargestBlock, end)];
                var highest = Max(values);
                if (highest > score)
                    (token, score) = (block + values.IndexOf(highest), highest);
            }

            if (run < _replaced.Length && _replacements[run] > score)
                (token, score) = (_replaced[run], _replacements[run]);
            start = end + 1;
        }

        return (token, score);
    }

    /// <summary>
    /// The <paramref name="count"/> best tokens, best first. Selects by threshold: at least count blocks have a maximum as high as the
    /// count-highest block maximum, so no better token is below it, and only blocks that reach it are read a second time.
    /// </summary>
    public Span<ulong> Top(int count, SamplingBuffers buffers)
    {
        var size = SmallestBlock;
        while (size < LargestBlock && _row.Length / (size * 2) >= count * 3)
            size *= 2;

        var (starts, maxima, selection) = buffers.Blocks(_row.Length / size + _replaced.Length + 1);
        var blocks = 0;
        var start = 0;
        for (var run = 0; run <= _replaced.Length; run++)
        {
            var end = run < _replaced.Length ? _replaced[run] : _row.Length;
            for (var block = start; block < end; block += size)
            {
                var length = Math.Min(size, end - block);
                (starts[blocks * 2], starts[blocks * 2 + 1]) = (block, length);
                selection[blocks] = maxima[blocks] = Max(_row.Slice(block, length));
                blocks++;
            }

            start = end + 1;
        }

        var threshold = count <= blocks ? Highest(selection.AsSpan(0, blocks), count) : float.MinValue;
        threshold = Math.Max(threshold, float.MinValue);
        buffers.ClearCandidates();
        for (var block = 0; block < blocks; block++)
        {
            if (maxima[block] >= threshold)
                Collect(_row.Slice(starts[block * 2], starts[block * 2 + 1]), starts[block * 2], threshold, buffers);
        }

        CollectReplacements(threshold, buffers);
        var candidates = buffers.Candidates;
        candidates.Sort();
        return candidates[..Math.Min(count, candidates.Length)];
    }

    /// <summary>Every token whose score is at least <paramref name="threshold"/>, in no order; those at negative infinity never.</summary>
    public Span<ulong> AtLeast(float threshold, SamplingBuffers buffers)
    {
        threshold = Math.Max(threshold, float.MinValue);
        buffers.ClearCandidates();
        var start = 0;
        for (var run = 0; run <= _replaced.Length; run++)
        {
            var end = run < _replaced.Length ? _replaced[run] : _row.Length;
            if (start < end)
                Collect(_row[start..end], start, threshold, buffers);
            start = end + 1;
        }

        CollectReplacements(threshold, buffers);
        return buffers.Candidates;
    }

    /// <summary>Sum over all tokens of e^((score - highest) * scale).</summary>
    public double SumOfExponentials(float highest, float scale)
    {
        var sum = 0d;
        var start = 0;
        for (var run = 0; run <= _replaced.Length; run++)
        {
            var end = run < _replaced.Length ? _replaced[run] : _row.Length;
            if (start < end)
                sum += SumOfExponentials(_row[start..end], highest, scale);
            if (run < _replaced.Length)
                sum += Math.Exp((_replacements[run] - highest) * (double)scale);
            start = end + 1;
        }

        return sum;
    }

    /// <summary>Writes the row with its replacements.</summary>
    public void CopyTo(Span<float> destination)
    {
        _row.CopyTo(destination);
        for (var i = 0; i < _replaced.Length; i++)
            destination[_replaced[i]] = _replacements[i];
    }

    private void CollectReplacements(float threshold, SamplingBuffers buffers)
    {
        for (var i = 0; i < _replaced.Length; i++)
        {
            if (_replacements[i] >= threshold)
                buffers.Add(_replaced[i], _replacements[i]);
        }
    }

    // A comparison instead of Max: whatever the processor, NaN loses.
    private static float Max(ReadOnlySpan<float> values)
    {
        ref var first = ref MemoryMarshal.GetReference(values);
        var i = 0;
        var highest = float.NegativeInfinity;
        if (values.Length >= Vector512<float>.Count)
        {
            var a = Vector512.Create(float.NegativeInfinity);
            var (b, c, d) = (a, a, a);
            for (; i <= values.Length - 4 * Vector512<float>.Count; i += 4 * Vector512<float>.Count)
            {
                a = Larger(Vector512.LoadUnsafe(ref first, (nuint)i), a);
                b = Larger(Vector512.LoadUnsafe(ref first, (nuint)(i + Vector512<float>.Count)), b);
                c = Larger(Vector512.LoadUnsafe(ref first, (nuint)(i + 2 * Vector512<float>.Count)), c);
                d = Larger(Vector512.LoadUnsafe(ref first, (nuint)(i + 3 * Vector512<float>.Count)), d);
            }

            for (; i <= values.Length - Vector512<float>.Count; i += Vector512<float>.Count)
                a = Larger(Vector512.LoadUnsafe(ref first, (nuint)i), a);

            a = Larger(Larger(a, b), Larger(c, d));
            var half = Vector256.ConditionalSelect(Vector256.GreaterThan(a.GetLower(), a.GetUpper()), a.GetLower(), a.GetUpper());
            for (var lane = 0; lane < Vector256<float>.Count; lane++)
                highest = half[lane] > highest ? half[lane] : highest;
        }

        for (; i < values.Length; i++)
            highest = values[i] > highest ? values[i] : highest;
        return highest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Larger(Vector512<float> value, Vector512<float> than) =>
        Vector512.ConditionalSelect(Vector512.GreaterThan(value, than), value, than);

    private static void Collect(ReadOnlySpan<float> values, int firstToken, float threshold, SamplingBuffers buffers)
    {
        ref var first = ref MemoryMarshal.GetReference(values);
        var i = 0;
        var limit = Vector512.Create(threshold);
        for (; i <= values.Length - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            var hits = Vector512.GreaterThanOrEqual(Vector512.LoadUnsafe(ref first, (nuint)i), limit).ExtractMostSignificantBits();
            for (; hits != 0; hits &= hits - 1)
            {
                var at = i + System.Numerics.BitOperations.TrailingZeroCount(hits);
                buffers.Add(firstToken + at, values[at]);
            }
        }

        for (; i < values.Length; i++)
        {
            if (values[i] >= threshold)
                buffers.Add(firstToken + i, values[i]);
        }
    }

    private static double SumOfExponentials(ReadOnlySpan<float> values, float highest, float scale)
    {
        ref var first = ref MemoryMarshal.GetReference(values);
        var i = 0;
        var sum = 0d;
        var (shift, factor) = (Vector512.Create(highest), Vector512.Create(scale));
        while (i <= values.Length - Vector512<float>.Count)
        {
            // Lanes are emptied now and then: a long sum of floats would lose the small ones.
            var lanes = Vector512<float>.Zero;
            for (var end = Math.Min(values.Length - Vector512<float>.Count, i + LargestBlock); i <= end; i += Vector512<float>.Count)
            {
                var weight = Vector512.Exp((Vector512.LoadUnsafe(ref first, (nuint)i) - shift) * factor);
                // NaN is not equal to itself; it weighs nothing.
                lanes += Vector512.ConditionalSelect(Vector512.Equals(weight, weight), weight, Vector512<float>.Zero);
            }

            sum += Vector512.Sum(lanes);
        }

        for (; i < values.Length; i++)
        {
            var weight = Math.Exp((values[i] - highest) * (double)scale);
            sum += double.IsNaN(weight) ? 0 : weight;
        }

        return sum;
    }

    /// <summary>The <paramref name="count"/>-highest of the values, by quickselect; reorders them.</summary>
    private static float Highest(Span<float> values, int count)
    {
        var target = count - 1;
        var (low, high) = (0, values.Length - 1);
        while (low < high)
        {
            var pivot = values[(low + high) >>> 1];
            var (left, right) = (low, high);
            while (left <= right)
            {
                while (values[left] > pivot)
                    left++;
                while (values[right] < pivot)
                    right--;
                if (left <= right)
                {
                    (values[left], values[right]) = (values[right], values[left]);
                    left++;
                    right--;
                }
            }

            if (target <= right)
                high = right;
            else if (target >= left)
                low = left;
            else
                break;
        }

        return values[target];
    }
}
