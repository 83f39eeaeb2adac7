using Fleet.Inference.Models;

namespace Fleet.Inference.Engine.Sampling;

/// <summary>Natural logarithms of tokens' probabilities, before any sampling parameter.</summary>
internal static class LogProbabilities
{
    /// <summary>Stands for "practically impossible", as in OpenAI's answers; JSON has no infinity.</summary>
    public const float Impossible = -9999f;

    /// <param name="logits">The model's scores.</param>
    /// <param name="chosen">The token that was drawn.</param>
    /// <param name="top">0-20 likeliest tokens to name, likeliest first.</param>
    /// <param name="vocabulary">Where the bytes come from.</param>
    public static TokenLogprob Of(ReadOnlySpan<float> logits, int chosen, int top, IVocabulary vocabulary)
    {
        var row = new ScoreRow(logits, [], []);
        var candidates = row.Top(Math.Max(1, top), SamplingBuffers.Current);
        var highest = candidates.Length > 0 ? SamplingBuffers.Score(candidates[0]) : 0;
        var normalizer = highest + Math.Log(row.SumOfExponentials(highest, scale: 1));

        var likeliest = new TokenLogprob[Math.Min(top, candidates.Length)];
        for (var i = 0; i < likeliest.Length; i++)
            likeliest[i] = Named(SamplingBuffers.Token(candidates[i]), SamplingBuffers.Score(candidates[i]), []);
        return Named(chosen, logits[chosen], likeliest);

        TokenLogprob Named(int token, float score, IReadOnlyList<TokenLogprob> alternatives)
        {
            var logarithm = (float)(score - normalizer);
            return new TokenLogprob(token, vocabulary.Bytes(token), float.IsFinite(logarithm) ? logarithm : Impossible, alternatives);
        }
    }
}
