using System.Text;
using System.Text.Json;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Models;
using Fleet.Inference.Tests.Engine.Sampling;

namespace Fleet.Inference.Tests.Engine.Constraints;

public sealed class GrammarConstraintTests
{
    private static readonly WordVocabulary Letters = new("a", "b", "ab", "c", "abc", "<", "\u00e9");

    [Fact]
    public void Allows_FollowsTheGrammarAndEndsOnlyWhenComplete()
    {
        using var constraint = Create(Letters, "root ::= \"ab\" \"c\"?");

        Assert.Equal(["a", "ab", "abc"], Allowed(constraint, Letters));
        Accept(constraint, Letters, "a");
        Assert.Equal(["b"], Allowed(constraint, Letters));
        Accept(constraint, Letters, "b");
        Assert.Equal(["c", ""], Allowed(constraint, Letters));
        Accept(constraint, Letters, "c");
        Assert.Equal([""], Allowed(constraint, Letters));
        constraint.Accept(Letters.End);
    }

    [Fact]
    public void Accept_RefusedToken_IsABugOfTheCallerAndHarmless()
    {
        using var constraint = Create(Letters, "root ::= \"ab\"");

        Assert.Throws<InvalidOperationException>(() => Accept(constraint, Letters, "c"));
        Assert.Throws<InvalidOperationException>(() => constraint.Accept(Letters.End));
        Assert.Equal(["a", "ab"], Allowed(constraint, Letters));
    }

    [Fact]
    public void Mask_IsWhatAllowsSays_AndChangesNothing()
    {
        var vocabulary = JsonPieces();
        var factory = new ConstraintFactory(vocabulary);
        for (var seed = 0; seed < 30; seed++)
        {
            var random = new Random(seed);
            using var constraint = factory.Create(new GrammarSpec { Gbnf = JsonGrammar.AnyObject });
            for (var step = 0; step < 40; step++)
            {
                var scores = new float[vocabulary.Size];
                constraint.Mask(scores);
                var allowed = Enumerable.Range(0, vocabulary.Size).Where(token => scores[token] == 0).ToArray();
                Assert.Equal(Enumerable.Range(0, vocabulary.Size).Where(constraint.Allows), allowed);
                var token = allowed[random.Next(allowed.Length)];
                if (token == vocabulary.End)
                    break;
                constraint.Accept(token);
            }
        }
    }

    [Fact]
    public void RandomWalk_ThroughTheJsonGrammar_AlwaysParses()
    {
        var vocabulary = JsonPieces();
        var factory = new ConstraintFactory(vocabulary);
        var finished = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            if (Walk(factory, vocabulary, JsonGrammar.AnyObject, seed, steps: 400) is not { } text)
                continue;

            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 1000 });
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
            finished++;
        }

        Assert.InRange(finished, 100, 300);
    }

    [Theory]
    [InlineData("root ::= [0-9]{2,4} (\"-\" [0-9]{2})* \"!\"?", "^[0-9]{2,4}(-[0-9]{2})*!?$")]
    [InlineData("root ::= \"a\" x \"b\"\nx ::= \"(\" x \")\" | \"1\"+", @"^a\(*1+\)*b$")]
    [InlineData("root ::= [^a-z\"]+", "^[^a-z\"]+$")]
    public void RandomWalk_ThroughOtherGrammars_MatchesTheSameExpression(string gbnf, string expression)
    {
        var vocabulary = JsonPieces();
        var factory = new ConstraintFactory(vocabulary);
        var finished = 0;
        for (var seed = 0; seed < 200; seed++)
        {
            if (Walk(factory, vocabulary, gbnf, seed, steps: 60) is not { } text)
                continue;

            Assert.Matches(expression, text);
            finished++;
        }

        Assert.True(finished > 50);
    }

    [Fact]
    public void SplitCharacters_AreAllowedOnlyWhileTheyCanBecomeAllowed()
    {
        var bytes = new ByteVocabulary();
        using var constraint = new ConstraintFactory(bytes).Create(new GrammarSpec { Gbnf = "root ::= [\uac00-\ud7a3]+" });

        foreach (var value in "한글"u8.ToArray())
        {
            Assert.True(constraint.Allows(value));
            Assert.False(constraint.Allows((byte)'a'));
            constraint.Accept(value);
        }

        Assert.True(constraint.Allows(256));
        Assert.False(constraint.Allows(0xE4));
        constraint.Accept(0xED);
        Assert.False(constraint.Allows(256));

        // ED A0 would be half of a UTF-16 pair.
        Assert.False(constraint.Allows(0xA0));
        Assert.True(constraint.Allows(0x9E));
        var scores = new float[257];
        constraint.Mask(scores);
        Assert.Equal(Enumerable.Range(0, 257).Where(constraint.Allows), Enumerable.Range(0, 257).Where(token => scores[token] == 0));
    }

    [Fact]
    public void ControlTokens_OnlyWhereTheGrammarSpellsThem()
    {
        var vocabulary = new ControlVocabulary();
        var factory = new ConstraintFactory(vocabulary);

        using var free = factory.Create(new GrammarSpec { Gbnf = "root ::= [^b]*" });
        Assert.False(free.Allows(ControlVocabulary.Call));
        using var spelt = factory.Create(new GrammarSpec { Gbnf = "root ::= \"<call>\" [a]*" });
        Assert.True(spelt.Allows(ControlVocabulary.Call));
        spelt.Accept(ControlVocabulary.Call);
        Assert.True(spelt.Allows(0));
        using var named = factory.Create(new GrammarSpec { Gbnf = "root ::= <call> !<[0]>" });
        Assert.True(named.Allows(ControlVocabulary.Call));
        Assert.False(named.Allows(0));
        named.Accept(ControlVocabulary.Call);
        Assert.False(named.Allows(0));
        Assert.True(named.Allows(1));
        var scores = new float[vocabulary.Size];
        named.Mask(scores);
        Assert.Equal(Enumerable.Range(0, vocabulary.Size).Where(named.Allows), Enumerable.Range(0, vocabulary.Size).Where(token => scores[token] == 0));
    }

    [Fact]
    public void Prefix_IsTakenFirst_OrRefused()
    {
        using var constraint = new ConstraintFactory(Letters).Create(new GrammarSpec { Gbnf = "root ::= \"<a\" \"b\"", Prefix = "<a" });
        Assert.Equal(["b"], Allowed(constraint, Letters));

        var exception = Assert.Throws<EngineException>(() => new ConstraintFactory(Letters).Create(new GrammarSpec { Gbnf = "root ::= \"a\"", Prefix = "b" }));
        Assert.Equal(EngineError.InvalidRequest, exception.Error);
    }

    [Fact]
    public void Lazy_HoldsFromThePatternOn_AndNeverBeginsWrongly()
    {
        var spec = new GrammarSpec { Gbnf = "root ::= \"<\" \"ab\" \"c\"", Lazy = true, TriggerPatterns = [@"[\s\S]*?(<[\s\S]*)"] };
        using var constraint = new ConstraintFactory(Letters).Create(spec);

        Assert.Equal(Letters.Size, Allowed(constraint, Letters).Length);
        Accept(constraint, Letters, "c");
        Accept(constraint, Letters, "abc");
        Accept(constraint, Letters, "<");
        Assert.Equal(["a", "ab", "abc"], Allowed(constraint, Letters));
        Accept(constraint, Letters, "abc");
        Assert.Equal([""], Allowed(constraint, Letters));
    }

    [Fact]
    public void Lazy_TriggerWhoseRestIsRefused_IsNotAllowed()
    {
        var vocabulary = new WordVocabulary("<<", "<", "x", "<x");
        using var constraint = new ConstraintFactory(vocabulary).Create(new GrammarSpec { Gbnf = "root ::= \"<x\"", Lazy = true, TriggerPatterns = ["<"] });

        Assert.False(constraint.Allows(0));
        Assert.True(constraint.Allows(1));
        Assert.True(constraint.Allows(3));
        var scores = new float[vocabulary.Size];
        constraint.Mask(scores);
        Assert.Equal([float.NegativeInfinity, 0, 0, 0, 0], scores);
        constraint.Accept(2);
        constraint.Accept(3);
        Assert.Equal([""], Allowed(constraint, vocabulary));
    }

    [Fact]
    public void Lazy_TriggerToken_Holds()
    {
        var vocabulary = new ControlVocabulary();
        using var constraint = new ConstraintFactory(vocabulary).Create(
            new GrammarSpec { Gbnf = "root ::= \"<call>\" \"b\"", Lazy = true, TriggerTokens = [ControlVocabulary.Call] });

        constraint.Accept(0);
        Assert.True(constraint.Allows(vocabulary.End));
        constraint.Accept(ControlVocabulary.Call);
        Assert.False(constraint.Allows(0));
        Assert.True(constraint.Allows(1));
        Assert.False(constraint.Allows(vocabulary.End));
    }

    [Fact]
    public void Lazy_AnchoredPattern_MatchesAllOfTheText()
    {
        using var constraint = new ConstraintFactory(Letters).Create(new GrammarSpec { Gbnf = "root ::= \"b\" \"c\"", Lazy = true, TriggerPatterns = ["^a(b)$"] });

        Accept(constraint, Letters, "c");
        Accept(constraint, Letters, "ab");
        Assert.Equal(Letters.Size, Allowed(constraint, Letters).Length);

        using var other = new ConstraintFactory(Letters).Create(new GrammarSpec { Gbnf = "root ::= \"b\" \"c\"", Lazy = true, TriggerPatterns = ["^a(b)$"] });
        Accept(other, Letters, "ab");
        Assert.Equal(["c"], Allowed(other, Letters));
    }

    [Fact]
    public void Create_SameGrammarFromManyThreads_IsCompiledOnceAndWorks()
    {
        var vocabulary = JsonPieces();
        var factory = new ConstraintFactory(vocabulary);

        Parallel.For(0, 40, seed => Walk(factory, vocabulary, JsonGrammar.AnyObject, seed, steps: 100));
    }

    internal static string? Walk(ConstraintFactory factory, WordVocabulary vocabulary, string gbnf, int seed, int steps)
    {
        var random = new Random(seed);
        using var constraint = factory.Create(new GrammarSpec { Gbnf = gbnf });
        var text = new StringBuilder();
        var scores = new float[vocabulary.Size];
        for (var step = 0; step < steps; step++)
        {
            Array.Clear(scores);
            constraint.Mask(scores);
            var allowed = Enumerable.Range(0, vocabulary.Size).Where(token => scores[token] == 0).ToArray();

            // Towards the end whatever closes something, so that most walks arrive.
            var closing = step > steps / 4 ? allowed.Where(token => Encoding.UTF8.GetString(vocabulary.Bytes(token).Span) is "" or "}" or "]" or "\"" or "1" or ":" or ")" or "b").ToArray() : [];
            var choices = closing.Length > 0 && random.Next(10) > 0 ? closing : allowed;
            var token = choices[random.Next(choices.Length)];
            constraint.Accept(token);
            if (token == vocabulary.End)
                return text.ToString();
            text.Append(Encoding.UTF8.GetString(vocabulary.Bytes(token).Span));
        }

        return null;
    }

    internal static WordVocabulary JsonPieces() => new(
    [
        .. Enumerable.Range(32, 95).Select(character => ((char)character).ToString()),
        "\n", "\t", "{\"", "\":", "\": ", "\", \"", "\"}", "\",", "},", "[[", "]]", "true", "tru", "null", "fal", "se", "name", "한국", "é", "🙂", "12", "-0", "0.5", "e+", "\\u", "\\n", "\\ud83d", "  ",
        "10", "19-", "-20",
    ]);

    private static ITokenConstraint Create(WordVocabulary vocabulary, string gbnf) => new ConstraintFactory(vocabulary).Create(new GrammarSpec { Gbnf = gbnf });

    private static void Accept(ITokenConstraint constraint, WordVocabulary vocabulary, string text) =>
        constraint.Accept(Enumerable.Range(0, vocabulary.Size).First(token => Encoding.UTF8.GetString(vocabulary.Bytes(token).Span) == text));

    private static string[] Allowed(ITokenConstraint constraint, WordVocabulary vocabulary) =>
        [.. Enumerable.Range(0, vocabulary.Size).Where(constraint.Allows).Select(token => Encoding.UTF8.GetString(vocabulary.Bytes(token).Span))];

    /// <summary>Every byte a token; 256 ends.</summary>
    private sealed class ByteVocabulary : IVocabulary
    {
        public int Size => 257;

        public ReadOnlyMemory<byte> Bytes(int token) => token < 256 ? new[] { (byte)token } : ReadOnlyMemory<byte>.Empty;

        public bool IsEndOfGeneration(int token) => token == 256;

        public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom) => throw new NotSupportedException();

        public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) => throw new NotSupportedException();
    }

    /// <summary>a, b, a control token spelt &lt;call&gt;, and the end.</summary>
    private sealed class ControlVocabulary : IVocabulary
    {
        public const int Call = 2;

        public int Size => 4;

        public int End => 3;

        public ReadOnlyMemory<byte> Bytes(int token) => token switch { 0 => "a"u8.ToArray(), 1 => "b"u8.ToArray(), _ => ReadOnlyMemory<byte>.Empty };

        public ReadOnlyMemory<byte> Spelling(int token) => token switch { Call => "<call>"u8.ToArray(), 3 => "<end>"u8.ToArray(), _ => Bytes(token) };

        public bool IsEndOfGeneration(int token) => token == End;

        public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom) => throw new NotSupportedException();

        public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) => throw new NotSupportedException();
    }
}
