using System.Diagnostics;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Tests.Engine.Constraints;

public sealed class GbnfParserTests
{
    [Theory]
    [InlineData("", "no rule named root")]
    [InlineData("# only a comment", "no rule named root")]
    [InlineData("a ::= \"x\"", "no rule named root")]
    [InlineData("root = \"x\"", "line 1, column 6, in rule root: expected ::=")]
    [InlineData("root ::= \"x", "column 10, in rule root: this literal has no closing quote")]
    [InlineData("root ::= [a-z", "this set has no closing bracket")]
    [InlineData("root ::= [z-a]", "this range ends before it begins")]
    [InlineData("root ::= (\"x\"", "this group has no closing parenthesis")]
    [InlineData("root ::= \"x\")", "unexpected )")]
    [InlineData("root ::= a\na ::= b c\nb ::= \"x\"", "line 2, column 9")]
    [InlineData("root ::= missing", "rule missing is not defined")]
    [InlineData("root ::= * \"x\"", "nothing to repeat")]
    [InlineData("root ::= \"x\"{3,2}", "fewer than the least")]
    [InlineData("root ::= \"x\"{10001}", "at most 10000")]
    [InlineData("root ::= \"x\"{99999999999999999999}", "at most 10000")]
    [InlineData("root ::= (\"x\"{0,100}){0,101}", "nested repetitions multiplied")]
    [InlineData("root ::= \"x\"{,3}", "expected a number")]
    [InlineData("root ::= \"\\q\"", "unknown escape")]
    [InlineData("root ::= \"\\", "unknown escape")]
    [InlineData("root ::= \"\\xZZ\"", "hexadecimal")]
    [InlineData("root ::= \"\\U00110000\"", "no such code point")]
    [InlineData("root ::= <nothing-like-it>", "no such token")]
    [InlineData("root ::= <[100]>", "no such token")]
    [InlineData("root ::= <[18446744073709551616]>", "no such token")]
    [InlineData("root ::= !", "expected a token")]
    [InlineData("root ::= root \"x\" | \"y\"", "rule root can begin with itself")]
    [InlineData("root ::= a\na ::= b\nb ::= \"x\"? a \"y\"", "can begin with itself")]
    [InlineData("root ::= empty root \"x\"\nempty ::= blank*\nblank ::= \"\"", "can begin with itself")]
    [InlineData("root ::= \"x\" ; \"y\"", "expected the end of the line")]
    public void Parse_BadGrammar_SaysWhatAndWhere(string text, string problem)
    {
        var exception = Assert.Throws<EngineException>(() => Parse(text));

        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Contains(problem, exception.Message);
    }

    [Theory]
    [InlineData("root ::= \"x\"")]
    [InlineData("\n# comment\nroot ::= a | b # trailing\n\na ::=\n  \"x\" |\n  \"y\"\r\nb ::= ( [^a-z\\]]\n  | . )+")]
    [InlineData("root ::= (\"x\"*)* \"y\"")]
    [InlineData("root ::= \"x\"{2,} [0-9]{0,3} .{0,5000}")]
    [InlineData("root ::= a\na ::= \"x\" a |")]
    [InlineData("root ::= <[3]> !<[4]>")]
    public void Parse_GoodGrammar_IsAccepted(string text) => Assert.True(Parse(text).RuleCount > 0);

    /// <summary>None of these may take long, and none may end the process; refused or accepted is both fine.</summary>
    [Fact]
    public void Parse_HostileGrammars_EndSoonAndWithAnAnswer()
    {
        string[] hostile =
        [
            $"root ::= {new string('(', 100_000)}",
            $"root ::= {new string('(', 90)}\"x\"{new string(')', 90)}",
            $"root ::= {string.Concat(Enumerable.Repeat("\"x\"? ", 40_000))}",
            $"root ::= {string.Concat(Enumerable.Repeat("\"x\"{2000} ", 20_000))}",
            $"root ::= {string.Join(" | ", Enumerable.Range(0, 30_000).Select(i => $"\"{i}\""))}",
            string.Concat(Enumerable.Range(0, 14_000).Select(i => $"r{i} ::= r{i + 1}\n")) + "r14000 ::= \"x\"\nroot ::= r0",
            string.Concat(Enumerable.Range(0, 14_000).Select(i => $"r{i} ::= r{i + 1}\n")) + "r14000 ::= r0\nroot ::= r0",
            string.Concat(Enumerable.Range(0, 40).Select(i => $"r{i} ::= r{i + 1} r{i + 1} | r{i + 1}\n")) + "r40 ::= \"x\"?\nroot ::= r0",
            string.Concat(Enumerable.Range(0, 40).Select(i => $"r{i} ::= r{i + 1} r{i + 1} | r{i + 1} r{i + 1} r{i + 1}\n")) + "r40 ::= \"x\"\nroot ::= r0",
            $"root ::= {string.Concat(Enumerable.Repeat("(", 80))}\"x\"{string.Concat(Enumerable.Repeat("?)*", 80))}",
            new string('r', 262_144),
            new string('\0', 1000),
            new string('"', 262_143),
            "root ::= \"" + new string('x', 262_000) + "\"",
            "root ::= [" + new string('x', 262_000) + "]",
        ];
        foreach (var text in hostile)
        {
            var watch = Stopwatch.StartNew();
            try
            {
                var grammar = Parse(text);
                var automaton = new GrammarAutomaton(grammar);
                var state = automaton.Start;
                for (var i = 0; i < 20 && state != GrammarAutomaton.Dead; i++)
                {
                    automaton.BeginQuestion();
                    state = automaton.Next(state, 'x');
                }
            }
            catch (EngineException exception)
            {
                Assert.Equal(EngineError.InvalidRequest, exception.Error);
                Assert.True(exception.Message.Length < 300);
            }

            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15), $"{watch.Elapsed} for {text[..30]}...");
        }
    }

    // Not an argument of the theory above: half a character does not survive being one.
    [Fact]
    public void Parse_HalfACharacter_IsRefused() =>
        Assert.Contains("half a character", Assert.Throws<EngineException>(() => Parse("root ::= \"\ud800\"")).Message);

    [Fact]
    public void Parse_TooLong_IsRefusedUnread() =>
        Assert.Contains("262144", Assert.Throws<EngineException>(() => Parse(new string(' ', 262_145))).Message);

    private static GbnfGrammar Parse(string text) => GbnfParser.Parse(text, tokens: 100, _ => null);
}
