using Fleet.Inference.Engine;

namespace Fleet.Inference.Tests.Engine.Sampling;

/// <summary>The samplers as their papers state them: whole vocabulary, doubles, sorting, no shortcuts.</summary>
internal static class ScalarSampler
{
    /// <summary>Like a model's: most tokens unlikely, a few near the top.</summary>
    public static float[] Logits(int seed, int size)
    {
        var random = new Random(seed);
        var spread = 1 + seed % 5;
        return [.. Enumerable.Range(0, size).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()) * spread))];
    }

    public static (int Token, double Score)[] Candidates(IEnumerable<(int Token, double Score)> scores, SamplingParameters parameters)
    {
        var left = scores.Where(candidate => candidate.Score > double.NegativeInfinity).OrderByDescending(candidate => candidate.Score).ThenBy(candidate => candidate.Token).ToArray();
        if (parameters.TopK > 0)
            left = [.. left.Take(parameters.TopK)];
        if (parameters.TypicalP is > 0 and < 1)
        {
            var probabilities = Softmax(left);
            var entropy = -probabilities.Where(p => p > 0).Sum(p => p * Math.Log(p));
            var order = Enumerable.Range(0, left.Length).OrderBy(i => (float)Math.Abs(-Math.Log(probabilities[i]) - entropy)).ToArray();
            var mass = 0d;
            left = [.. order.TakeWhile(i => (mass += probabilities[i]) - probabilities[i] <= parameters.TypicalP).Select(i => left[i])
                .OrderByDescending(candidate => candidate.Score).ThenBy(candidate => candidate.Token)];
        }

        if (parameters.TopP is > 0 and < 1)
        {
            var probabilities = Softmax(left);
            var mass = 0d;
            left = [.. left.Where((_, i) => (mass += probabilities[i]) - probabilities[i] < parameters.TopP)];
        }

        if (parameters.MinP > 0)
            left = [.. left.Where(candidate => candidate.Score >= (float)left[0].Score + MathF.Log(parameters.MinP))];
        return left;
    }

    public static double[] Softmax((int Token, double Score)[] candidates, double temperature = 1)
    {
        var highest = candidates.Max(candidate => candidate.Score);
        double[] weights = [.. candidates.Select(candidate => Math.Exp((candidate.Score - highest) / temperature))];
        var total = weights.Sum();
        return [.. weights.Select(weight => weight / total)];
    }
}
