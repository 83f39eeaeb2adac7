namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// Mirostat (Basu et al. 2020, arXiv:2007.14966): keeps the text's surprise near a target by moving the cut after each token. Version 1
/// estimates the distribution's exponent to choose a top-k; version 2 cuts by surprise itself. Constants are llama.cpp's.
/// </summary>
internal sealed class Mirostat(SamplingParameters parameters)
{
    // Tokens version 1 looks at for its estimate.
    private const int EstimateTokens = 100;

    private double _limit = 2 * parameters.MirostatTau;

    /// <summary>The candidates to draw from, best first.</summary>
    public Span<ulong> Select(ScoreRow row, float highest, SamplingBuffers buffers)
    {
        var scale = 1 / parameters.Temperature;
        if (parameters.Mirostat == 1)
            return row.Top(Rank(row.Top(EstimateTokens, buffers), row.Length, scale), buffers);

        // Surprise of a token in bits: -log2 of its probability.
        var logarithm = Math.Log(row.SumOfExponentials(highest, scale));
        var lowest = highest + (float)((logarithm - _limit * Math.Log(2)) / scale);
        if (!(lowest < highest))
            return row.Top(1, buffers);

        var candidates = row.AtLeast(lowest, buffers);
        candidates.Sort();
        return candidates;
    }

    /// <param name="probability">Of the accepted token, among the candidates.</param>
    public void Accept(double probability)
    {
        var error = -Math.Log2(probability) - parameters.MirostatTau;
        _limit -= parameters.MirostatEta * error;
    }

    private int Rank(ReadOnlySpan<ulong> best, int vocabulary, float scale)
    {
        var (products, squares) = (0d, 0d);
        for (var i = 0; i < best.Length - 1; i++)
        {
            var distance = Math.Log((i + 2d) / (i + 1d));
            products += distance * (SamplingBuffers.Score(best[i]) - SamplingBuffers.Score(best[i + 1])) * scale;
            squares += distance * distance;
        }

        // A flat distribution has no exponent to estimate: everything is as good as everything.
        var exponent = squares > 0 ? products / squares : 0;
        var rest = exponent - 1;
        var rank = Math.Pow(rest * Math.Pow(2, _limit) / (1 - Math.Pow(vocabulary, -rest)), 1 / exponent);
        return double.IsNaN(rank) ? vocabulary : (int)Math.Clamp(rank, 1, vocabulary);
    }
}
