using Fleet.Inference.Engine.Extractive;

namespace Fleet.Inference.Tests.Engine;

public sealed class SentenceSplitterTests
{
    [Theory]
    [InlineData("One. Two! Three?", 3)]
    [InlineData("Pi is 3.14 and e is 2.72. That is all.", 2)]
    [InlineData("Use a tool, e.g. grep, i.e. the usual one. Then stop.", 2)]
    [InlineData("Dr. Smith met J. R. Kim at 5 p.m. on Monday.", 1)]
    [InlineData("See Fig. 3 on page 12. It shows more.", 2)]
    [InlineData("Open appsettings.json and save. Restart.", 2)]
    [InlineData("He said \"Stop.\" Then he left.", 2)]
    [InlineData("보증은 2년입니다. 소모품은 제외됩니다.", 2)]
    [InlineData("끝났나요? 네, 끝났습니다! 좋아요.", 3)]
    [InlineData("붙여 썼다.그래도 나뉜다.", 2)]
    [InlineData("버전 1.5는 3.2배 빠르다. 끝.", 2)]
    [InlineData("마침표 없음", 1)]
    [InlineData("", 0)]
    [InlineData("...", 1)]
    public void Split_KnowsWhereSentencesEnd(string text, int count)
    {
        var sentences = SentenceSplitter.Split(text).ToList();

        Assert.True(sentences.Count == count, string.Join(" | ", sentences));
        Assert.Equal(text.Replace(" ", "", StringComparison.Ordinal), string.Concat(sentences).Replace(" ", "", StringComparison.Ordinal));
    }
}
