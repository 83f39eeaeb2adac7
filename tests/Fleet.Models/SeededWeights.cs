namespace Fleet.Models;

/// <summary>Gaussian weights from a seed: the same numbers on every machine and runtime (SplitMix64, Box–Muller).</summary>
internal sealed class SeededWeights(ulong seed)
{
    private ulong _state = seed * 0x9E3779B97F4A7C15UL + 0x1234567;

    public float[] Gaussian(long count, float deviation, float mean = 0)
    {
        var values = new float[count];
        for (var i = 0L; i < count; i++)
            values[i] = mean + deviation * NextGaussian();
        return values;
    }

    private float NextGaussian()
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - NextUnit()));
        return (float)(radius * Math.Cos(2 * Math.PI * NextUnit()));
    }

    private double NextUnit()
    {
        _state += 0x9E3779B97F4A7C15UL;
        var mixed = (_state ^ (_state >> 30)) * 0xBF58476D1CE4E5B9UL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
