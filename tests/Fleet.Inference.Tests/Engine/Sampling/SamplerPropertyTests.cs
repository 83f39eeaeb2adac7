using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Sampling;

namespace Fleet.Inference.Tests.Engine.Sampling;

/// <summary>Whatever the parameters and scores, the fast way gives what the slow way gives.</summary>
public sealed class SamplerPropertyTests
{
    [Fact]
    public void Select_RandomParameters_KeepsWhatTheScalarWayKeeps()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var size = random.Next(2, 9000);
            var logits = ScalarSampler.Logits(seed, size);
            var parameters = RandomParameters(random);
            var replaced = random.Next(2) == 0 ? [] : Enumerable.Range(0, random.Next(1, 300)).Select(_ => random.Next(size)).Distinct().Order().ToArray();
            float[] scores = [.. replaced.Select(_ => random.Next(8) == 0 ? float.NegativeInfinity : (float)(random.NextDouble() * 20 - 15))];
            if (replaced.Length == size)
                continue;

            var row = new ScoreRow(logits, replaced, scores);
            var kept = Truncation.Select(row, row.Best().Score, parameters, chance: 1, SamplingBuffers.Current).ToArray();

            var adjusted = logits.Select((logit, token) => (token, (double)logit)).ToArray();
            for (var i = 0; i < replaced.Length; i++)
                adjusted[replaced[i]] = (replaced[i], scores[i]);
            var expected = ScalarSampler.Candidates(adjusted, parameters);

            // The fast way may leave out what weighs nothing, and only when no sampler limits the candidates.
            var unlimited = parameters.TopK == 0 && parameters.MinP == 0;
            Assert.Equal(expected.Select(candidate => candidate.Token).Take(unlimited ? kept.Length : expected.Length), kept.Select(SamplingBuffers.Token));
            if (unlimited)
                Assert.True(ScalarSampler.Softmax(expected).Take(kept.Length).Sum() > 1 - 1e-5);
            Assert.Equal(adjusted.MaxBy(candidate => candidate.Item2).Item1, row.Best().Token);
        }
    }

    [Fact]
    public void Sample_Greedy_WithPenaltiesAndBias_IsTheScalarBest()
    {
        for (var seed = 0; seed < 100; seed++)
        {
            var random = new Random(seed);
            var size = random.Next(700, 5000);
            var vocabulary = WordVocabulary.Of(size);
            int[] prompt = [.. Enumerable.Range(0, random.Next(0, 1200)).Select(_ => random.Next(size))];
            var parameters = new SamplingParameters
            {
                Temperature = 0,
                PenaltyLastN = random.Next(3) switch { 0 => -1, 1 => 64, _ => 700 },
                RepetitionPenalty = 1.3f,
                FrequencyPenalty = 0.2f,
                PresencePenalty = 0.5f,
                LogitBias = Enumerable.Range(0, 20).Select(_ => random.Next(size)).Distinct().ToDictionary(token => token, _ => (float)(random.NextDouble() * 10 - 5)),
            };
            var sampler = new TokenSampler(parameters, vocabulary, prompt, null, 0);
            var history = prompt.ToList();
            for (var step = 0; step < 20; step++)
            {
                var logits = ScalarSampler.Logits(seed * 100 + step, size);
                var window = parameters.PenaltyLastN < 0 ? history : history.TakeLast(parameters.PenaltyLastN);
                var counts = window.CountBy(token => token).ToDictionary();
                var expected = logits.Select((logit, token) => (Score: Penalised(logit + parameters.LogitBias.GetValueOrDefault(token), counts.GetValueOrDefault(token)), token)).MaxBy(pair => pair.Score);

                var token = sampler.Sample(logits);

                Assert.Equal(expected.token, token);
                sampler.Accept(token);
                history.Add(token);
            }

            float Penalised(float score, int count) => count == 0 ? score
                : (score > 0 ? score / parameters.RepetitionPenalty : score * parameters.RepetitionPenalty) - (count * parameters.FrequencyPenalty + parameters.PresencePenalty);
        }
    }

    [Fact]
    public void Sample_Constrained_IsTheChainOverTheAllowedTokens()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var size = random.Next(100, 3000);
            var logits = ScalarSampler.Logits(seed, size);
            HashSet<int> allowed = [.. Enumerable.Range(0, random.Next(1, 50)).Select(_ => random.Next(size))];
            var greedy = new TokenSampler(new SamplingParameters { Temperature = 0 }, WordVocabulary.Of(size), [], new Allowing(allowed), 0);
            Assert.Equal(allowed.OrderByDescending(token => logits[token]).ThenBy(token => token).First(), greedy.Sample(logits));

            var drawing = new TokenSampler(new SamplingParameters { TopK = 3, TopP = 1, MinP = 0, Temperature = 1 }, WordVocabulary.Of(size), [], new Allowing(allowed), (ulong)seed);
            var token = drawing.Sample(logits);
            Assert.Contains(token, logits.Index().OrderByDescending(pair => pair.Item).Take(3).Select(pair => pair.Index).Where(allowed.Contains)
                .Concat(allowed.OrderByDescending(candidate => logits[candidate]).Take(3)));
        }
    }

    private static SamplingParameters RandomParameters(Random random) => new()
    {
        Temperature = 1,
        TopK = random.Next(3) switch { 0 => 0, 1 => random.Next(1, 60), _ => random.Next(1, 1000) },
        TopP = random.Next(3) == 0 ? 1 : (float)random.NextDouble(),
        MinP = random.Next(2) == 0 ? 0 : (float)random.NextDouble() * 0.3f,
        TypicalP = random.Next(3) == 0 ? (float)random.NextDouble() : 0,
    };

    private sealed class Allowing(HashSet<int> tokens) : ITokenConstraint
    {
        public bool Allows(int token) => tokens.Contains(token);

        public void Mask(Span<float> scores)
        {
            for (var token = 0; token < scores.Length; token++)
                scores[token] = tokens.Contains(token) ? scores[token] : float.NegativeInfinity;
        }

        public void Accept(int token) => Assert.Contains(token, tokens);

        public void Dispose()
        {
        }
    }
}
