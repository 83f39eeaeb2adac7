using Fleet.Inference.Engine;

namespace Fleet.Inference.Tests.Engine;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, -1f, 0f, 2.5f];

    [Fact]
    public void Sample_TemperatureZero_TakesTheBest() => Assert.Equal(1, Draw(new SamplingParameters { Temperature = 0 }));

    [Fact]
    public void Sample_SameSeed_RepeatsAndOtherSeedDiffers()
    {
        var parameters = new SamplingParameters { Temperature = 1.5f, TopP = 1, MinP = 0, Seed = 42 };

        Assert.Equal(DrawMany(parameters), DrawMany(parameters));
        Assert.NotEqual(DrawMany(parameters), DrawMany(parameters with { Seed = 43 }));
    }

    [Fact]
    public void Sample_FrequenciesFollowProbabilities()
    {
        var sampler = new TokenSampler(new SamplingParameters { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, Seed = 7 }, Logits.Length, 0);
        var counts = new int[Logits.Length];
        for (var i = 0; i < 20_000; i++)
            counts[sampler.Sample(Logits)]++;

        var total = Logits.Sum(logit => Math.Exp(logit));
        for (var token = 0; token < Logits.Length; token++)
            Assert.Equal(Math.Exp(Logits[token]) / total, counts[token] / 20_000d, 0.015);
    }

    [Fact]
    public void Sample_TruncationLeavesOnlyTheLikeliest()
    {
        AssertOnly([1, 5], DrawMany(new SamplingParameters { Temperature = 2, TopK = 2, TopP = 1, MinP = 0, Seed = 1 }));
        AssertOnly([1, 5], DrawMany(new SamplingParameters { Temperature = 2, TopK = 0, TopP = 0.6f, MinP = 0, Seed = 1 }));
        AssertOnly([1, 5, 2], DrawMany(new SamplingParameters { Temperature = 2, TopK = 0, TopP = 1, MinP = 0.3f, Seed = 1 }));
    }

    [Fact]
    public void Sample_BiasAndPenalties_MoveTheChoice()
    {
        Assert.Equal(3, Draw(new SamplingParameters { Temperature = 0, LogitBias = new Dictionary<int, float> { [3] = 100, [999] = 5 } }));

        var sampler = new TokenSampler(new SamplingParameters { Temperature = 0, PresencePenalty = 2 }, Logits.Length, 0);
        Assert.Equal([1, 5, 2], [sampler.Sample(Logits), sampler.Sample(Logits), sampler.Sample(Logits)]);
    }

    [Fact]
    public void Logprobs_AreNormalisedAndOrdered()
    {
        var (chosen, top) = TokenSampler.Logprobs(Logits, chosen: 2, top: 6);

        Assert.Equal([1, 5, 2, 0, 4, 3], top.Select(entry => entry.Token));
        Assert.Equal(1, top.Sum(entry => Math.Exp(entry.Logprob)), 4);
        Assert.Equal(top[2].Logprob, chosen);
    }

    private static void AssertOnly(int[] allowed, int[] drawn) => Assert.All(drawn, token => Assert.Contains(token, allowed));

    private static int Draw(SamplingParameters parameters) => new TokenSampler(parameters, Logits.Length, 0).Sample(Logits);

    private static int[] DrawMany(SamplingParameters parameters)
    {
        var sampler = new TokenSampler(parameters, Logits.Length, 0);
        return [.. Enumerable.Range(0, 200).Select(_ => sampler.Sample(Logits))];
    }
}
