using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Sampling;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Tests.Engine.Sampling;

namespace Fleet.Inference.Tests.Native;

/// <summary>Our samplers keep the candidates, and change the scores, as llama.cpp's do.</summary>
[Collection(nameof(NativeTests))]
public sealed class SamplersAgainstLlamaTests : IDisposable
{
    private const int Vocabulary = 5000;

    private readonly SafeLlamaModel _model;
    private readonly LlamaSamplers _llama;
    private readonly List<nint> _samplers = [];

    public SamplersAgainstLlamaTests(NativeFixture native)
    {
        native.RequireLibraries();
        _model = SafeLlamaModel.Load(native.PathOf("tiny-llama"), gpuLayers: 0, new Progress<float>(), CancellationToken.None);
        _llama = new LlamaSamplers(_model);
    }

    [Theory]
    [InlineData(40, 0.95f, 0.05f, 0f)]
    [InlineData(40, 1f, 0f, 0f)]
    [InlineData(1, 0.5f, 0.5f, 0f)]
    [InlineData(1000, 0.9f, 0.01f, 0f)]
    [InlineData(0, 0.9f, 0f, 0f)]
    [InlineData(0, 0.3f, 0.1f, 0f)]
    [InlineData(0, 1f, 0.1f, 0f)]
    [InlineData(100, 1f, 0f, 0.6f)]
    [InlineData(100, 0.8f, 0.02f, 0.9f)]
    [InlineData(0, 1f, 0f, 0.5f)]
    public void Truncation_KeepsTheSameCandidates(int topK, float topP, float minP, float typicalP)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var logits = Logits(seed);
            var parameters = new SamplingParameters { Temperature = 1, TopK = topK, TopP = topP, MinP = minP, TypicalP = typicalP };

            var kept = _llama.Apply(logits, Own(
                _llama.TopK(topK), _llama.Typical(typicalP is 0 ? 1 : typicalP), _llama.TopP(topP), _llama.MinP(minP)));

            Assert.Equal(kept.Keys.Order(), Kept(logits, parameters).Order());
        }
    }

    [Theory]
    [InlineData(0.05f)]
    [InlineData(0.1f)]
    [InlineData(0.4f)]
    public void Xtc_KeepsTheSameCandidates(float threshold)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var logits = Logits(seed);

            var kept = _llama.Apply(logits, Own(_llama.TopK(50), _llama.Xtc(1, threshold)));

            Assert.Equal(kept.Keys.Order(), Kept(logits, new SamplingParameters { TopK = 50, TopP = 1, MinP = 0, Xtc = new XtcParameters(1, threshold) }).Order());
        }
    }

    [Theory]
    [InlineData(1, 3f)]
    [InlineData(1, 6f)]
    [InlineData(2, 3f)]
    [InlineData(2, 5f)]
    public void Mirostat_KeepsTheSameNumberOfCandidates(int version, float tau)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var logits = Logits(seed);
            var parameters = new SamplingParameters { Mirostat = version, MirostatTau = tau, Temperature = 0.8f };

            var kept = _llama.Apply(logits, Own(
                _llama.Temperature(0.8f), version == 1 ? _llama.Mirostat1(Vocabulary, tau, 0.1f) : _llama.Mirostat2(tau, 0.1f)));

            var row = new ScoreRow(logits, [], []);
            var candidates = new Mirostat(parameters).Select(row, row.Best().Score, SamplingBuffers.Current);
            Assert.InRange(candidates.Length, kept.Count * 0.999 - 1, kept.Count * 1.001 + 1);
        }
    }

    [Theory]
    [InlineData(64, 1.1f, 0f, 0f)]
    [InlineData(5, 1.5f, 0.4f, 0.7f)]
    [InlineData(200, 0.8f, -0.5f, -1f)]
    public void Penalties_GiveTheSameScores(int lastN, float repeat, float frequency, float presence)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var random = new Random(seed);
            var logits = Logits(seed);
            int[] history = [.. Enumerable.Range(0, 120).Select(_ => random.Next(30))];
            var sampler = Own(_llama.Penalties(Vocabulary, lastN, repeat, frequency, presence))[0];
            foreach (var token in history)
                _llama.Accept(sampler, token);

            var expected = _llama.Apply(logits, sampler);

            var penalties = RepetitionPenalties.Create(
                new SamplingParameters { PenaltyLastN = lastN, RepetitionPenalty = repeat, FrequencyPenalty = frequency, PresencePenalty = presence }, history)!;
            for (var token = 0; token < Vocabulary; token++)
                Assert.Equal(expected[token], penalties.Adjust(token, logits[token]), 1e-4f);
        }
    }

    [Fact]
    public void Dry_GivesTheSameScores()
    {
        var vocabulary = new LlamaVocabulary(_model, null);
        for (var seed = 0; seed < 100; seed++)
        {
            // Few tokens, so that there is much to repeat; one of them holds a breaker.
            var random = new Random(seed);
            int[] alphabet = [.. "abc:".Select(character => Enumerable.Range(0, vocabulary.Size).Last(token => vocabulary.Bytes(token).Span.SequenceEqual([(byte)character])))];
            int[] history = [.. Enumerable.Range(0, random.Next(1, 150)).Select(_ => alphabet[random.Next(10) == 0 ? 3 : random.Next(3)])];
            var logits = Logits(seed, vocabulary.Size);
            var (lastN, allowed) = (random.Next(2) == 0 ? 40 : 1000, random.Next(0, 4));
            var sampler = Own(_llama.Dry(0.8f, 1.75f, allowed, lastN, ":"))[0];
            foreach (var token in history)
                _llama.Accept(sampler, token);

            var expected = _llama.Apply(logits, sampler);

            var dry = DryPenalty.Create(new DryParameters(0.8f, 1.75f, allowed, lastN, [":"]), vocabulary, history)!;
            for (var token = 0; token < logits.Length; token++)
                Assert.Equal(expected[token], dry.Adjust(token, logits[token]), Math.Max(1e-3f, Math.Abs(expected[token]) * 1e-4f));
        }
    }

    public void Dispose()
    {
        foreach (var sampler in _samplers)
            _llama.Free(sampler);
        _model.Dispose();
    }

    private static int[] Kept(float[] logits, SamplingParameters parameters)
    {
        var row = new ScoreRow(logits, [], []);
        var kept = Truncation.Select(row, row.Best().Score, parameters, chance: 0, SamplingBuffers.Current);
        return [.. kept.ToArray().Select(SamplingBuffers.Token)];
    }

    private static float[] Logits(int seed, int size = Vocabulary) => ScalarSampler.Logits(seed, size);

    private nint[] Own(params nint[] samplers)
    {
        _samplers.AddRange(samplers);
        return samplers;
    }
}
