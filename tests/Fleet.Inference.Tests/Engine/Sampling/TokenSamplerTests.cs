using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Sampling;

namespace Fleet.Inference.Tests.Engine.Sampling;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, -1f, 0f, 2.5f];
    private static readonly WordVocabulary Vocabulary = WordVocabulary.Of(6);

    [Fact]
    public void Sample_TemperatureZero_TakesTheBest() => Assert.Equal(1, Draw(new SamplingParameters { Temperature = 0 }));

    [Fact]
    public void Sample_AskedTwice_GivesTheSameToken()
    {
        var sampler = Sampler(new SamplingParameters { Temperature = 2, TopP = 1, MinP = 0, Seed = 3, Mirostat = 2 });
        for (var i = 0; i < 50; i++)
        {
            var token = sampler.Sample(Logits);
            Assert.Equal(token, sampler.Sample(Logits));
            sampler.Accept(token);
        }
    }

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
        var counts = new int[Logits.Length];
        foreach (var token in DrawMany(new SamplingParameters { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, Seed = 7 }, 20_000))
            counts[token]++;

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
    public void Sample_Xtc_LeavesOutTheTopChoices()
    {
        // Probabilities of 1, 5 and 2 are .43, .26 and .16: all reach the threshold, so only the last of them and the rest remain.
        var parameters = new SamplingParameters { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, Seed = 1, Xtc = new XtcParameters(1, 0.15f) };

        AssertOnly([2, 0, 4, 3], DrawMany(parameters));
        Assert.Contains(1, DrawMany(parameters with { Xtc = new XtcParameters(0.5f, 0.15f) }));
    }

    [Fact]
    public void Sample_BiasAndPenalties_MoveTheChoice()
    {
        Assert.Equal(3, Draw(new SamplingParameters { Temperature = 0, LogitBias = new Dictionary<int, float> { [3] = 100, [999] = 5, [-1] = 5 } }));

        Assert.Equal([1, 5, 2], DrawMany(new SamplingParameters { Temperature = 0, PresencePenalty = 2 }, 3));
    }

    [Fact]
    public void Sample_ThePrompt_IsPenalisedWithinTheWindow()
    {
        var parameters = new SamplingParameters { Temperature = 0, PresencePenalty = 100, PenaltyLastN = 2 };

        Assert.Equal(1, Sampler(parameters, [1, 5, 2]).Sample(Logits));
        Assert.Equal(2, Sampler(parameters with { PenaltyLastN = 3 }, [1, 5, 0]).Sample(Logits));
        Assert.Equal(0, Sampler(parameters with { PenaltyLastN = -1 }, [1, 5, 2, 3, 3, 3, 3, 3, 3]).Sample(Logits));
        Assert.Equal(1, Sampler(parameters with { PenaltyLastN = 0 }, [1, 5, 2]).Sample(Logits));
    }

    [Fact]
    public void Sample_Dry_BreaksARepetitionButNotAcrossABreaker()
    {
        var vocabulary = new WordVocabulary("a", "b", "c", "d", "\n");
        float[] wantsC = [0, 0, 5, 4, 0, 0];
        var parameters = new SamplingParameters { Temperature = 0, Dry = new DryParameters(2, 1.75f, 2, -1, ["\n"]) };

        Assert.Equal(3, new TokenSampler(parameters, vocabulary, [0, 1, 2, 3, 0, 1], null, 0).Sample(wantsC));
        Assert.Equal(2, new TokenSampler(parameters, vocabulary, [0, 1, 2, 3, 3, 1], null, 0).Sample(wantsC));
        Assert.Equal(2, new TokenSampler(parameters, vocabulary, [0, 4, 1, 2, 3, 0, 4, 1], null, 0).Sample(wantsC));
    }

    [Fact]
    public void Sample_ConstraintRefuses_TheBestAllowedIsTaken()
    {
        var greedy = new SamplingParameters { Temperature = 0 };

        Assert.Equal(2, new TokenSampler(greedy, Vocabulary, [], new Only(2, 3), 0).Sample(Logits));
        AssertOnly([2, 3], DrawMany(new SamplingParameters { Temperature = 3, MinP = 0, TopK = 2, Seed = 4 }, constraint: new Only(2, 3)));
        var nothing = Assert.Throws<EngineException>(() => new TokenSampler(greedy, Vocabulary, [], new Only(), 0).Sample(Logits));
        Assert.Contains("grammar", nothing.Message);
    }

    [Fact]
    public void Sample_UnusableScores_IsAnErrorNotANumber()
    {
        var sampler = Sampler(new SamplingParameters());

        Assert.Equal(EngineError.Internal, Assert.Throws<EngineException>(() => sampler.Sample([float.NaN, float.NaN, float.NaN, float.NaN, float.NaN, float.NaN])).Error);
        Assert.Throws<EngineException>(() => sampler.Sample([float.PositiveInfinity, 0, 0, 0, 0, 0]));
        Assert.Equal(4, sampler.Sample([float.NaN, float.NegativeInfinity, float.NaN, -90, -1, float.NaN]));
    }

    private static void AssertOnly(int[] allowed, int[] drawn) => Assert.All(drawn, token => Assert.Contains(token, allowed));

    private static TokenSampler Sampler(SamplingParameters parameters, params int[] prompt) => new(parameters, Vocabulary, prompt, null, 0);

    private static int Draw(SamplingParameters parameters) => Sampler(parameters).Sample(Logits);

    private static int[] DrawMany(SamplingParameters parameters, int count = 200, ITokenConstraint? constraint = null)
    {
        var sampler = new TokenSampler(parameters, Vocabulary, [], constraint, 0);
        var drawn = new int[count];
        for (var i = 0; i < count; i++)
            sampler.Accept(drawn[i] = sampler.Sample(Logits));
        return drawn;
    }

    private sealed class Only(params int[] allowed) : ITokenConstraint
    {
        public bool Allows(int token) => allowed.Contains(token);

        public void Mask(Span<float> scores)
        {
            for (var token = 0; token < scores.Length; token++)
                scores[token] = Allows(token) ? scores[token] : float.NegativeInfinity;
        }

        public void Accept(int token) => Assert.Contains(token, allowed);

        public void Dispose()
        {
        }
    }
}
