using Fleet.Inference.Engine;

namespace Fleet.Inference.Tests.Engine;

public sealed class StopSequenceMatcherTests
{
    [Fact]
    public void Append_SequenceAcrossPieces_IsNeverDelivered()
    {
        var matcher = new StopSequenceMatcher(["</end>"]);

        var text = string.Concat(new[] { "answer <", "/e", "nd", "> more" }.Select(matcher.Append));

        Assert.Equal("answer ", text);
        Assert.True(matcher.Matched);
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void Append_FalseStart_IsDeliveredOnceDecided()
    {
        var matcher = new StopSequenceMatcher(["</end>"]);

        Assert.Equal("a ", matcher.Append("a <"));
        Assert.Equal("<b ", matcher.Append("b "));
        Assert.False(matcher.Matched);
    }

    [Fact]
    public void Flush_ReturnsWhatWasHeld()
    {
        var matcher = new StopSequenceMatcher(["끝입니다"]);

        Assert.Equal("이제 ", matcher.Append("이제 끝입"));
        Assert.Equal("끝입", matcher.Flush());
    }

    [Fact]
    public void Append_AnySplit_GivesTheSameText()
    {
        const string Text = "ababac stop ababad STOP tail";
        string[] stops = ["ababad", "tail"];
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var matcher = new StopSequenceMatcher(stops);
            var delivered = "";
            for (var at = 0; at < Text.Length && !matcher.Matched;)
            {
                var length = Math.Min(random.Next(1, 5), Text.Length - at);
                delivered += matcher.Append(Text.Substring(at, length));
                at += length;
            }

            Assert.Equal("ababac stop ", delivered);
        }
    }
}
