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

    [Fact]
    public void Append_SeveralInTheText_TheFirstToStartWinsAndIsNamed()
    {
        var matcher = new StopSequenceMatcher(["bc", "abcd", "zz"]);

        Assert.Equal("x", string.Concat(new[] { "x", "a", "b", "c", "d zz" }.Select(matcher.Append)));
        Assert.Equal("abcd", matcher.Sequence);

        var other = new StopSequenceMatcher(["bc", "abcd"]);
        Assert.Equal("xa", other.Append("xabcx"));
        Assert.Equal("bc", other.Sequence);
    }

    [Fact]
    public void Flush_FoundButWaitingForAnEarlierOne_Matches()
    {
        var matcher = new StopSequenceMatcher(["bc", "abcd"]);

        Assert.Equal("x", matcher.Append("xabc"));
        Assert.Equal("a", matcher.Flush());
        Assert.Equal((true, "bc"), (matcher.Matched, matcher.Sequence));
    }

    [Fact]
    public void Append_RandomTextsSequencesAndSplits_GiveWhatASearchOfTheWholeTextGives()
    {
        for (var seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            var text = Letters(random, random.Next(1, 40));
            string[] stops = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Letters(random, random.Next(1, 6)))];
            var expected = stops.Where(stop => text.Contains(stop, StringComparison.Ordinal))
                .OrderBy(stop => text.IndexOf(stop, StringComparison.Ordinal)).ThenBy(stop => stop.Length).FirstOrDefault();
            var matcher = new StopSequenceMatcher(stops);
            var delivered = "";
            for (var at = 0; at < text.Length;)
            {
                var length = Math.Min(random.Next(0, 4), text.Length - at);
                delivered += matcher.Append(text.Substring(at, length));
                at += length;
            }

            delivered += matcher.Flush();
            Assert.Equal(expected ?? "", matcher.Sequence);
            Assert.Equal(expected is null ? text : text[..text.IndexOf(expected, StringComparison.Ordinal)], delivered);
        }
    }

    [Fact]
    public void Append_LongTextOfFalseStarts_TakesLinearTime()
    {
        // Quadratic work per piece would be 10^12 steps here.
        var matcher = new StopSequenceMatcher([new string('a', 20_000) + "b", new string('a', 10_000) + "c"]);
        var length = 0;
        for (var i = 0; i < 200_000; i++)
            length += matcher.Append("aa").Length;

        Assert.Equal(400_000 - 20_000, length);
        Assert.Equal(20_000, matcher.Flush().Length);
    }

    private static string Letters(Random random, int count) => new([.. Enumerable.Range(0, count).Select(_ => "ab한"[random.Next(3)])]);
}
