using System.Text;
using Fleet.Inference.Engine;

namespace Fleet.Inference.Tests.Engine;

public sealed class IncrementalDetokenizerTests
{
    private const string Text = "한국어 syllables, é, 世界 and 👍🏽 end";

    [Fact]
    public void Append_AnySplitOfBytes_GivesWholeCharactersAndTheSameText()
    {
        var bytes = Encoding.UTF8.GetBytes(Text);
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var detokenizer = new IncrementalDetokenizer();
            var text = new StringBuilder();
            for (var at = 0; at < bytes.Length;)
            {
                var length = Math.Min(random.Next(1, 5), bytes.Length - at);
                var piece = detokenizer.Append(bytes.AsSpan(at, length));
                Assert.False(piece.Length > 0 && (char.IsHighSurrogate(piece[^1]) || char.IsLowSurrogate(piece[0])), "a pair was split");
                text.Append(piece);
                at += length;
            }

            Assert.Equal(Text, text.ToString());
        }
    }

    [Fact]
    public void Append_IncompleteSyllable_WaitsForItsBytes()
    {
        var bytes = Encoding.UTF8.GetBytes("가");
        var detokenizer = new IncrementalDetokenizer();

        Assert.Equal("", detokenizer.Append(bytes.AsSpan(0, 1)));
        Assert.Equal("", detokenizer.Append(bytes.AsSpan(1, 1)));
        Assert.Equal("가", detokenizer.Append(bytes.AsSpan(2, 1)));
    }

    [Fact]
    public void Append_ImpossibleBytes_BecomeReplacementCharacters()
    {
        var detokenizer = new IncrementalDetokenizer();

        Assert.Equal("\uFFFDa", detokenizer.Append([0xFF, (byte)'a']));
    }
}
