namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// The samplers that leave candidates out, in llama.cpp's order: top-k, typical, top-p, min-p, XTC. All but top-k work on candidates that are
/// sorted and few, so none of them ever sorts the vocabulary unless the parameters leave nothing else.
/// </summary>
internal static class Truncation
{
    // e^-25: what lies further below the best than this weighs nothing, even summed over a large vocabulary.
    private const float Hopeless = 25f;

    // Distances below the best at which top-p without top-k looks for its mass.
    private static readonly float[] Reaches = [4f, 8f, 14f];

    /// <param name="chance">Uniform in [0, 1); decides whether XTC acts.</param>
    /// <returns>The remaining candidates, best first; one at least.</returns>
    public static Span<ulong> Select(ScoreRow row, float highest, SamplingParameters parameters, double chance, SamplingBuffers buffers)
    {
        var topP = parameters.TopP is > 0 and < 1 ? parameters.TopP : 1;
        var typical = parameters.TypicalP is > 0 and < 1;
        Span<ulong> candidates;
        if (parameters.TopK > 0 || typical)
        {
            candidates = parameters.TopK > 0 ? row.Top(parameters.TopK, buffers) : Sorted(row.AtLeast(Floor(highest, parameters), buffers));
            if (typical)
                candidates = Typical(candidates, parameters.TypicalP, buffers);
            if (topP < 1)
                candidates = TopP(candidates, topP, Mass(candidates, buffers.Weights(candidates.Length)));
        }
        else
        {
            candidates = topP < 1 ? TopPOfAll(row, highest, topP, parameters, buffers) : Sorted(row.AtLeast(Floor(highest, parameters), buffers));
        }

        if (parameters.MinP > 0)
            candidates = MinP(candidates, parameters.MinP);
        if (parameters.Xtc is { Probability: > 0, Threshold: <= 0.5f } xtc && chance <= xtc.Probability)
            candidates = WithoutTopChoices(candidates, xtc.Threshold, buffers.Weights(candidates.Length));
        return candidates;
    }

    private static float Floor(float highest, SamplingParameters parameters)
    {
        // Typical needs the whole distribution; min-p alone is its own floor.
        if (parameters is { MinP: > 0, TypicalP: <= 0 or >= 1 })
            return highest + MathF.Log(parameters.MinP);
        return highest - Hopeless * Math.Max(1, parameters.Temperature);
    }

    private static Span<ulong> TopPOfAll(ScoreRow row, float highest, float topP, SamplingParameters parameters, SamplingBuffers buffers)
    {
        var total = row.SumOfExponentials(highest, scale: 1);
        var floor = Floor(highest, parameters);
        foreach (var reach in Reaches)
        {
            if (highest - reach <= floor)
                break;

            var near = Sorted(row.AtLeast(highest - reach, buffers));
            var kept = TopP(near, topP, total, out var reached);
            if (reached)
                return kept;
        }

        return TopP(Sorted(row.AtLeast(floor, buffers)), topP, total);
    }

    private static Span<ulong> Sorted(Span<ulong> candidates)
    {
        candidates.Sort();
        return candidates;
    }

    private static Span<ulong> TopP(Span<ulong> candidates, float topP, double total) => TopP(candidates, topP, total, out _);

    // Nucleus sampling, Holtzman et al. 2019 (arXiv:1904.09751): the fewest candidates that hold the mass.
    private static Span<ulong> TopP(Span<ulong> candidates, float topP, double total, out bool reached)
    {
        var highest = SamplingBuffers.Score(candidates[0]);
        var mass = 0d;
        for (var i = 0; i < candidates.Length; i++)
        {
            mass += Math.Exp(SamplingBuffers.Score(candidates[i]) - highest);
            if (mass >= topP * total)
            {
                reached = true;
                return candidates[..(i + 1)];
            }
        }

        reached = false;
        return candidates;
    }

    private static Span<ulong> MinP(Span<ulong> candidates, float minP)
    {
        var lowest = SamplingBuffers.Score(candidates[0]) + MathF.Log(minP);
        var kept = candidates.Length;
        while (kept > 1 && SamplingBuffers.Score(candidates[kept - 1]) < lowest)
            kept--;
        return candidates[..kept];
    }

    // Locally typical sampling, Meister et al. 2022 (arXiv:2202.00666): the candidates whose surprise is nearest the entropy.
    private static Span<ulong> Typical(Span<ulong> candidates, float typicalP, SamplingBuffers buffers)
    {
        var weights = buffers.Weights(candidates.Length);
        var total = Mass(candidates, weights);
        var entropy = 0d;
        foreach (ref var weight in weights)
        {
            weight /= total;
            entropy -= weight > 0 ? weight * Math.Log(weight) : 0;
        }

        var order = new (float Distance, int Index)[candidates.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = ((float)Math.Abs(-Math.Log(weights[i]) - entropy), i);
        Array.Sort(order);

        var mass = 0d;
        var kept = 0;
        while (kept < order.Length && !(mass > typicalP))
            mass += weights[order[kept++].Index];

        var chosen = new ulong[kept];
        for (var i = 0; i < kept; i++)
            chosen[i] = candidates[order[i].Index];
        chosen.CopyTo(candidates);
        return Sorted(candidates[..kept]);
    }

    // XTC, p-e-w in oobabooga/text-generation-webui #6335: of the candidates likely enough, only the least likely stays.
    private static Span<ulong> WithoutTopChoices(Span<ulong> candidates, float threshold, Span<double> weights)
    {
        var total = Mass(candidates, weights);
        var last = 0;
        while (last + 1 < candidates.Length && weights[last + 1] >= threshold * total)
            last++;
        return candidates[last..];
    }

    /// <summary>Fills in e^(score - best) and returns the sum. The best stands first.</summary>
    private static double Mass(ReadOnlySpan<ulong> candidates, Span<double> weights)
    {
        var highest = SamplingBuffers.Score(candidates[0]);
        var total = 0d;
        for (var i = 0; i < candidates.Length; i++)
            total += weights[i] = Math.Exp(SamplingBuffers.Score(candidates[i]) - highest);
        return total;
    }
}
