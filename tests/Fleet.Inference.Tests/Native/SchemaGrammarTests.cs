using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Sampling;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Inference.Tests.Engine.Sampling;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Native;

/// <summary>
/// The promise of a schema, end to end: what <see cref="JsonSchemaSupport"/> accepts goes through llama.cpp's converter into a grammar, random
/// scores are sampled under it, and whatever comes out matches the schema as the validator, which knows nothing of grammars, reads it.
/// </summary>
[Collection(nameof(NativeTests))]
public sealed class SchemaGrammarTests : IDisposable
{
    private readonly SafeLlamaModel _model;
    private readonly LlamaVocabulary _vocabulary;
    private readonly ConstraintFactory _factory;

    public SchemaGrammarTests(NativeFixture native)
    {
        native.RequireLibraries();
        var options = Options.Create(new NativeOptions());
        Assert.SkipUnless(File.Exists(ChatShim.FileOf(options.Value)), $"{ChatShim.FileOf(options.Value)} is not compiled; ./fleet test does it where g++ is or can be installed.");
        Assert.Null(new ChatShim(native.Libraries, options, NullLogger<ChatShim>.Instance).Unavailable);
        _model = SafeLlamaModel.Load(native.PathOf("tiny-llama"), gpuLayers: 0, new Progress<float>(), CancellationToken.None);
        _vocabulary = new LlamaVocabulary(_model, null);
        _factory = new ConstraintFactory(_vocabulary);
    }

    public static TheoryData<string> Schemas =>
    [
        """{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":8},"age":{"type":"integer","minimum":0,"maximum":130},"email":{"type":["string","null"]}},"required":["name","age"],"additionalProperties":false}""",
        """{"type":"object","properties":{"id":{"type":"string","format":"uuid"},"at":{"type":"string","format":"date-time"},"on":{"type":"string","format":"date"},"time":{"type":"string","format":"time"}},"required":["id","at","on","time"]}""",
        """{"type":"array","items":{"enum":["low","middle","high",3,null,true]},"minItems":2,"maxItems":4}""",
        """{"type":"array","prefixItems":[{"type":"string"},{"type":"integer","exclusiveMinimum":-17,"exclusiveMaximum":42.5},{"type":"boolean"}]}""",
        """{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"value":{"type":"integer","maximum":-5},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value","next"],"additionalProperties":false}}}""",
        """{"oneOf":[{"type":"object","properties":{"kind":{"const":"circle"},"radius":{"type":"number"}},"required":["kind","radius"]},{"type":"object","properties":{"kind":{"const":"square"},"side":{"type":"number"}},"required":["kind","side"]}]}""",
        """{"allOf":[{"$ref":"#/$defs/a"},{"type":"object","properties":{"y":{"type":"boolean"}},"required":["y"]}],"$defs":{"a":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}}}""",
        """{"type":"object","properties":{"known":{"type":"boolean"},"knot":{"type":"null"}},"required":["known"],"additionalProperties":true}""",
        """{"type":"object","additionalProperties":{"type":"integer","minimum":3,"maximum":5}}""",
        """{"type":"object","properties":{"a b":{"type":"string","maxLength":2},"a-b":{"type":"string","minLength":1,"maxLength":2},"\"q\\":{"type":"null"},"한":{"const":"글 \"x\" \\ \n"}},"required":["a b","a-b","\"q\\","한"],"additionalProperties":false}""",
        """{"type":"string","pattern":"^[A-Z]{2}-\\d{3,5}(\\.\\w+)?$"}""",
        """{"type":"string","pattern":"^(say|tell) \"[^\"]{1,3}\"\\s.{0,2}\\\\$"}""",
        """{"type":"string","pattern":"^a\\.*[^b-y]?(x|y[^z]){2}$"}""",
        """{"type":"object","properties":{"any":{},"object":{"type":"object"},"string":{"type":"string","maxLength":5},"list":{"type":"array","maxItems":2}},"required":["any"]}""",
        """{"const":{"a":[1,"x",null],"b":{"c":1.5}}}""",
        """{"type":["integer","string"],"minLength":2,"maxLength":3,"minimum":10,"maximum":12}""",
    ];

    [Theory]
    [MemberData(nameof(Schemas))]
    public void WhatIsGeneratedUnderASchema_MatchesIt(string schema)
    {
        var gbnf = ChatShim.SchemaToGrammar(JsonSchemaSupport.ForConverter(schema));
        var format = new ResponseFormat(ResponseFormatKind.JsonSchema, schema);
        for (var seed = 0; seed < 20; seed++)
        {
            var text = Generate(gbnf, seed);

            var problem = ReplyFormatCheck.Validate(format, text);
            Assert.True(problem is null, $"{problem}: {text}");
        }
    }

    /// <summary>Every integer near the bounds, asked of the grammar: one more or fewer would be an error of the converter or of ours.</summary>
    [Fact]
    public void IntegerBounds_AreExact()
    {
        var vocabulary = new GrammarVocabulary(_vocabulary);
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            long? least = random.Next(4) == 0 ? null : random.Next(-1100, 1100);
            long? most = least is null || random.Next(3) > 0 ? (least ?? -600) + random.Next(0, 1100) : null;
            var keywords = new List<string> { "\"type\":\"integer\"" };
            if (least is not null)
                keywords.Add(random.Next(2) == 0 ? $"\"minimum\":{least}" : $"\"exclusiveMinimum\":{least - 1}");
            if (most is not null)
                keywords.Add(random.Next(2) == 0 ? $"\"maximum\":{most}" : $"\"exclusiveMaximum\":{most + 1}");
            var schema = $"{{{string.Join(',', keywords)}}}";
            var grammar = new CompiledGrammar(GbnfParser.Parse(ChatShim.SchemaToGrammar(JsonSchemaSupport.ForConverter(schema)), vocabulary.Size, _ => null), vocabulary);
            for (var number = -2500L; number <= 2500; number++)
            {
                var accepted = grammar.After(grammar.Start, Encoding.UTF8.GetBytes($"{number}")) is { State.Complete: true };
                Assert.True(accepted == (number >= (least ?? long.MinValue) && number <= (most ?? long.MaxValue)), $"{number} under {schema}");
            }

            foreach (var odd in (string[])["007", "-05", "+3", "1.0", "1e2", ""])
                Assert.False(grammar.After(grammar.Start, Encoding.UTF8.GetBytes(odd)) is { State.Complete: true }, $"{odd} under {schema}");
        }
    }

    [Fact]
    public void Bounds_LargestSchemasAllowed_ConvertSoon()
    {
        string[] large =
        [
            "{\"type\":\"object\",\"properties\":{" + string.Join(',', Enumerable.Range(0, 300).Select(i => $"\"property{i}\":{{\"type\":\"string\"}}")) + "}}",
            "{\"type\":\"object\",\"properties\":{\"" + new string('"', 1).Replace("\"", "\\\"", StringComparison.Ordinal) + new string('*', 120) + "\":{}}}",
            string.Concat(Enumerable.Repeat("{\"type\":[\"array\",\"object\"],\"properties\":{\"a\":{}},\"items\":", 40)) + "{\"type\":\"null\"}" + new string('}', 40),
            "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":10000},\"maxItems\":10000}",
        ];
        foreach (var schema in large)
        {
            JsonSchemaSupport.Check(schema);
            try
            {
                using var constraint = _factory.Create(new GrammarSpec { Gbnf = ChatShim.SchemaToGrammar(JsonSchemaSupport.ForConverter(schema)) });
            }
            catch (EngineException exception)
            {
                Assert.Equal(EngineError.InvalidRequest, exception.Error);
            }
        }
    }

    public void Dispose() => _model?.Dispose();

    /// <summary>Random scores that come to favour whatever closes and ends, as a model's do.</summary>
    private string Generate(string gbnf, int seed)
    {
        using var constraint = _factory.Create(new GrammarSpec { Gbnf = gbnf });
        var sampler = new TokenSampler(new SamplingParameters { Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, Seed = (uint)seed }, _vocabulary, [], constraint, 0);
        var text = new List<byte>();
        for (var step = 0; step < 1500; step++)
        {
            var logits = ScalarSampler.Logits(seed * 1000 + step, _vocabulary.Size);
            for (var token = 0; token < logits.Length; token++)
            {
                logits[token] += _vocabulary.Bytes(token).Span switch
                {
                    [] => 0,
                    [< 0x20 or >= 0x7F, ..] => -8,
                    [(byte)'"' or (byte)'}' or (byte)']' or (byte)'n'] when step > 60 => 40,
                    _ => 0,
                };
                logits[token] += _vocabulary.IsEndOfGeneration(token) ? step / 4f : 0;
            }

            var chosen = sampler.Sample(logits);
            sampler.Accept(chosen);
            if (_vocabulary.IsEndOfGeneration(chosen))
                return Encoding.UTF8.GetString([.. text]);
            text.AddRange(_vocabulary.Bytes(chosen).Span);
        }

        throw new InvalidOperationException($"The text never ended: {Encoding.UTF8.GetString([.. text])}");
    }
}
