using Fleet.Inference.Engine.Sampling;

namespace Fleet.Inference.Tests.Engine.Sampling;

public sealed class LogProbabilitiesTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, -1f, 0f, 2.5f];

    [Fact]
    public void Of_AllTokens_AreNormalisedAndOrdered()
    {
        var logprob = LogProbabilities.Of(Logits, chosen: 2, top: 6, WordVocabulary.Of(6));

        Assert.Equal([1, 5, 2, 0, 4, 3], logprob.Top.Select(entry => entry.TokenId));
        Assert.Equal(1, logprob.Top.Sum(entry => Math.Exp(entry.Logprob)), 4);
        Assert.Equal((2, logprob.Top[2].Logprob), (logprob.TokenId, logprob.Logprob));
        Assert.Equal(" 2"u8.ToArray(), logprob.Bytes.ToArray());
    }

    [Fact]
    public void Of_LargeVocabulary_EqualsTheSlowComputation()
    {
        var random = new Random(5);
        float[] logits = [.. Enumerable.Range(0, 50_021).Select(_ => (float)(random.NextDouble() * 30 - 15))];
        var vocabulary = WordVocabulary.Of(logits.Length);
        var normalizer = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        for (var top = 0; top <= 20; top += 5)
        {
            var logprob = LogProbabilities.Of(logits, chosen: 777, top, vocabulary);

            Assert.Equal(logits[777] - normalizer, logprob.Logprob, 1e-4);
            Assert.Equal(logits.Select((logit, token) => (logit, token)).OrderByDescending(pair => pair.logit).Take(top).Select(pair => pair.token), logprob.Top.Select(entry => entry.TokenId));
        }
    }

    [Fact]
    public void Of_ImpossibleToken_IsAFiniteNumber() =>
        Assert.Equal(LogProbabilities.Impossible, LogProbabilities.Of([0f, float.NegativeInfinity, 1f], chosen: 1, top: 3, WordVocabulary.Of(3)).Logprob);
}
