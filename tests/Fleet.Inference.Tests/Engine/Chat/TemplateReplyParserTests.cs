using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;

namespace Fleet.Inference.Tests.Engine.Chat;

/// <summary>With a reader whose rules fit on a line: thoughts end at "/", calls stand in brackets as [name arguments].</summary>
public sealed class TemplateReplyParserTests
{
    [Fact]
    public void Prose_IsPassedOnWithoutAsking()
    {
        var reader = new SlashReader();
        var message = new ReadMessage();
        var parser = new TemplateReplyParser(reader, ["/", "["]);

        for (var i = 0; i < 2000; i++)
            message.Add(parser.Append(" word"));
        message.Add(parser.Finish(complete: true));

        Assert.Equal(string.Concat(Enumerable.Repeat(" word", 2000)), message.Content);
        Assert.InRange(reader.Reads, 1, 10);
    }

    [Fact]
    public void TextFullOfDelimiters_IsReadLessOftenTheLongerItGets()
    {
        var reader = new SlashReader();
        var message = new ReadMessage();
        var parser = new TemplateReplyParser(reader, ["/", "[", "x"]);

        for (var i = 0; i < 4000; i++)
            message.Add(parser.Append("xxxx"));
        message.Add(parser.Finish(complete: true));

        Assert.Equal(16_000, message.Content.Length);
        Assert.InRange(reader.Reads, 10, 1500);
    }

    [Fact]
    public void WhiteSpaceBeforeAnEnd_IsNotSentAndTakenBack()
    {
        var message = new ReadMessage();

        message.Add(new TemplateReplyParser(new SlashReader(), ["/", "["]), ["so", " be", " it", " ", " ", "/", "yes"], complete: true);

        Assert.Equal(("so be it", "yes"), (message.Reasoning, message.Content));
    }

    [Fact]
    public void Calls_HaveDenseIndexesIdsAndExactArguments()
    {
        var message = new ReadMessage();

        message.Add(new TemplateReplyParser(new SlashReader(), ["/", "["]), "ok[a {\"x\": 1}][b ]".Select(character => character.ToString()), complete: true);

        Assert.Equal("ok", message.Content);
        Assert.Equal(["a", "b"], message.Calls.Select(call => call.Name));
        Assert.Equal(["{\"x\": 1}", "{}"], message.Calls.Select(call => call.Arguments));
        Assert.All(message.Calls, call => Assert.Matches("^call_[a-zA-Z0-9]{24}$", call.Id));
        Assert.Equal(2, message.Calls.Select(call => call.Id).Distinct().Count());
    }

    [Fact]
    public void ReplyThatIsNotOfTheFormat_IsGivenAsItIs()
    {
        var message = new ReadMessage();

        message.Add(new TemplateReplyParser(new Refusing(), ["<"]), ["a<", "b"], complete: true);

        Assert.Equal("a<b", message.Content);
    }

    [Fact]
    public void ReaderThatChangesItsMind_TakesNothingBack()
    {
        var answers = new Queue<string>(["", "Hello", "Help", "Hello again"]);
        var message = new ReadMessage();

        message.Add(new TemplateReplyParser(new Scripted(answers), ["\n"]), ["1\n", "2\n"], complete: true);

        Assert.Equal("Hello again", message.Content);
    }

    [Fact]
    public void CharacterInTwoPieces_IsWhole()
    {
        var message = new ReadMessage();
        var parser = new TemplateReplyParser(new SlashReader(), ["/", "["]);

        message.Add(parser.Append("\n\uD83D"));
        message.Add(parser.Append("\uDE42"));
        message.Add(parser.Finish(complete: true));

        Assert.Equal("\n🙂", message.Content);
    }

    [Fact]
    public void AfterTheEnd_NothingComes()
    {
        var parser = new TemplateReplyParser(new SlashReader(), ["/", "["]);
        parser.Append("a");
        parser.Finish(complete: true);

        Assert.Equal(ParsedDelta.Empty, parser.Append("b"));
        Assert.Equal(ParsedDelta.Empty, parser.Finish(complete: true));
    }

    private sealed class SlashReader : IReplyReader
    {
        public int Reads { get; private set; }

        public ReadReply? Read(ReadOnlySpan<byte> reply, bool partial)
        {
            Reads++;
            var text = Encoding.UTF8.GetString(reply).Replace("\uFFFD", "", StringComparison.Ordinal);
            var reasoning = "";
            if (text.IndexOf('/', StringComparison.Ordinal) is >= 0 and var end)
                (reasoning, text) = (text[..end].TrimEnd(), text[(end + 1)..]);
            else if (text.StartsWith("so", StringComparison.Ordinal))
                return new ReadReply("", text.TrimEnd(), []);

            var pieces = text.Split('[');
            var calls = pieces.Skip(1).Select(piece => piece.TrimEnd(']').Split(' ', 2)).Where(parts => parts.Length == 2).Select(parts => new ToolCall("", parts[0], parts[1]));
            return new ReadReply(pieces[0], reasoning, [.. calls]);
        }

        public void Dispose()
        {
        }
    }

    private sealed class Scripted(Queue<string> answers) : IReplyReader
    {
        public ReadReply? Read(ReadOnlySpan<byte> reply, bool partial) => new(answers.Dequeue(), "", []);

        public void Dispose()
        {
        }
    }

    private sealed class Refusing : IReplyReader
    {
        public ReadReply? Read(ReadOnlySpan<byte> reply, bool partial) => null;

        public void Dispose()
        {
        }
    }
}
