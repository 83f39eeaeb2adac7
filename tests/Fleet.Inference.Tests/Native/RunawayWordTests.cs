using System.Text;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>Words that would end the process inside llama.cpp's regular expressions.</summary>
public sealed class RunawayWordTests
{
    [Fact]
    public void RunawayWord_CutsOnlyLongRuns_NeverInsideACharacter()
    {
        Assert.Equal(0, Cut(new string('z', 2048)));
        Assert.Equal(2048, Cut(new string('z', 2049)));
        Assert.Equal(2053, Cut("ab c\n" + new string('z', 3000)));
        Assert.Equal(0, Cut(string.Concat(Enumerable.Repeat("word and word ", 10_000))));
        foreach (var shift in Enumerable.Range(0, 4))
        {
            var text = Encoding.UTF8.GetBytes(new string('z', shift) + string.Concat(Enumerable.Repeat("한", 1000)));
            var cut = SafeLlamaModel.RunawayWord(text);
            Assert.InRange(cut, 2040, 2048);
            Assert.NotEqual(0x80, text[cut] & 0xC0);
        }

        static int Cut(string text) => SafeLlamaModel.RunawayWord(Encoding.UTF8.GetBytes(text));
    }
}
