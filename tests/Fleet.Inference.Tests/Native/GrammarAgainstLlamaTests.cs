using System.Buffers;
using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Sampling;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Tests.Engine.Sampling;

namespace Fleet.Inference.Tests.Native;

/// <summary>Our grammars allow the tokens that llama.cpp's allow, on llama.cpp's own vocabulary.</summary>
[Collection(nameof(NativeTests))]
public sealed class GrammarAgainstLlamaTests : IDisposable
{
    private readonly SafeLlamaModel _model;
    private readonly LlamaVocabulary _vocabulary;
    private readonly LlamaSamplers _llama;
    private readonly ConstraintFactory _factory;

    public GrammarAgainstLlamaTests(NativeFixture native)
    {
        native.RequireLibraries();
        _model = SafeLlamaModel.Load(native.PathOf("tiny-llama"), gpuLayers: 0, new Progress<float>(), CancellationToken.None);
        _vocabulary = new LlamaVocabulary(_model, null);
        _llama = new LlamaSamplers(_model);
        _factory = new ConstraintFactory(_vocabulary);
    }

    public static TheoryData<string> Grammars =>
    [
        JsonGrammar.AnyObject,
        "root ::= \"the \" (\"cat\" | \"dog\" | \"c\" [a-z]+)* \"!\"{2,4}",
        "root ::= [^a-m\"]{1,20}",
        "root ::= (\"a\" | \"ab\" | \"abc\")* (\"bc\" root | \"c\")?",
        "root ::= [\uac00-\ud7a3 ]+ \"\\n\"?",
        "root ::= word (\" \" word){0,5}\nword ::= [a-z]+ | [0-9]+ (\".\" [0-9]+)? # a number\n",
        "root ::= <[70]> [a-z]* <[80]> \"x\"",
        "root ::= (((\"x\"?)*)* \"y\")+",
    ];

    [Theory]
    [MemberData(nameof(Grammars))]
    public void Mask_AlongRandomWalks_IsThatOfLlama(string gbnf)
    {
        for (var seed = 0; seed < 6; seed++)
        {
            var random = new Random(seed);
            using var constraint = _factory.Create(new GrammarSpec { Gbnf = gbnf });
            var sampler = _llama.Grammar(gbnf);
            Assert.NotEqual(0, sampler);
            var text = new List<byte>();
            for (var step = 0; step < 40; step++)
            {
                var scores = new float[_vocabulary.Size];
                constraint.Mask(scores);
                var theirs = _llama.Apply(new float[_vocabulary.Size], sampler);
                var allowed = Enumerable.Range(0, scores.Length).Where(token => scores[token] == 0).ToArray();

                // Control tokens and broken UTF-8 are refused here and sometimes not there.
                Assert.Equal(
                    Enumerable.Range(0, scores.Length).Where(token => theirs[token] == 0 && IsText(token, text) || theirs[token] == 0 && _vocabulary.IsEndOfGeneration(token)),
                    allowed);
                var going = allowed.Where(token => !_vocabulary.IsEndOfGeneration(token)).ToArray();
                if (going.Length == 0)
                    break;

                var chosen = going[random.Next(going.Length)];
                constraint.Accept(chosen);
                _llama.Accept(sampler, chosen);
                text.AddRange(_vocabulary.Bytes(chosen).Span);
            }

            _llama.Free(sampler);
        }
    }

    [Fact]
    public void Refusals_AreThoseOfLlama()
    {
        string[] bad = ["", "a ::= \"x\"", "root ::= missing", "root ::= root \"x\"", "root ::= \"x", "root ::= [a", "root ::= (\"x\"", "root ::= *", "root ::= \"\\q\"", "root = \"x\"", "root ::= <nothing>"];
        foreach (var gbnf in bad)
        {
            Assert.Equal(EngineError.InvalidRequest, Assert.Throws<EngineException>(() => _factory.Create(new GrammarSpec { Gbnf = gbnf })).Error);
            if (gbnf.Length > 0)
                Assert.Equal(0, _llama.Grammar(gbnf));
        }
    }

    [Fact]
    public void Sampler_RandomScoresUnderTheJsonGrammar_AlwaysGivesJson()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var text = Generate(JsonGrammar.AnyObject, new SamplingParameters { Temperature = seed % 3 * 0.5f, Seed = (uint)seed, RepetitionPenalty = 1.1f }, seed);

            Assert.Null(ReplyFormatCheck.Validate(new ResponseFormat(ResponseFormatKind.JsonObject), text));
        }
    }

    [Fact]
    public void ControlTokens_AreSpeltAndFound()
    {
        using var constraint = _factory.Create(new GrammarSpec { Gbnf = "root ::= <|im_start|> \"a\"+ | \"<|im_start|>\" \"b\"" });
        var start = Enumerable.Range(0, _vocabulary.Size).Single(token => Encoding.UTF8.GetString(_vocabulary.Spelling(token).Span) == "<|im_start|>");
        Assert.Empty(_vocabulary.Bytes(start).ToArray());

        Assert.True(constraint.Allows(start));
        constraint.Accept(start);
        var allowed = Enumerable.Range(0, _vocabulary.Size).Where(constraint.Allows).Select(token => Encoding.UTF8.GetString(_vocabulary.Bytes(token).Span)).Distinct();
        Assert.Equal(["a", "b"], allowed.Order());
    }

    public void Dispose() => _model.Dispose();

    /// <summary>Random scores that come to favour whatever closes and ends, as a model's do.</summary>
    private string Generate(string gbnf, SamplingParameters parameters, int seed)
    {
        using var constraint = _factory.Create(new GrammarSpec { Gbnf = gbnf });
        var sampler = new TokenSampler(parameters, _vocabulary, [], constraint, 0);
        var text = new List<byte>();
        for (var step = 0; step < 2000; step++)
        {
            var logits = ScalarSampler.Logits(seed * 1000 + step, _vocabulary.Size);
            for (var token = 0; token < logits.Length; token++)
                logits[token] += step > 100 && (_vocabulary.IsEndOfGeneration(token) || _vocabulary.Bytes(token).Span is [(byte)'"' or (byte)'}' or (byte)']']) ? 50 : 0;
            var chosen = sampler.Sample(logits);
            sampler.Accept(chosen);
            if (_vocabulary.IsEndOfGeneration(chosen))
                return Encoding.UTF8.GetString([.. text]);
            text.AddRange(_vocabulary.Bytes(chosen).Span);
        }

        throw new InvalidOperationException("The text never ended.");
    }

    private bool IsText(int token, List<byte> before)
    {
        if (_vocabulary.Bytes(token).IsEmpty)
            return false;

        ReadOnlySpan<byte> all = [.. before, .. _vocabulary.Bytes(token).Span];
        while (!all.IsEmpty)
        {
            var status = Rune.DecodeFromUtf8(all, out _, out var length);
            if (status != OperationStatus.Done)
                return status == OperationStatus.NeedMoreData;
            all = all[length..];
        }

        return true;
    }
}
