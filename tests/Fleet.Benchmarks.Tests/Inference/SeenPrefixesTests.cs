using Fleet.Benchmarks.Inference;

namespace Fleet.Benchmarks.Tests.Inference;

public sealed class SeenPrefixesTests
{
    [Fact]
    public void LongestKnown_IsTheLongestCommonBeginning()
    {
        var seen = new SeenPrefixes();
        seen.Add([1, 2, 3, 4]);
        seen.Add([1, 2, 9]);

        Assert.Equal(3, seen.LongestKnown([1, 2, 3, 5]));
        Assert.Equal(3, seen.LongestKnown([1, 2, 9, 4]));
        Assert.Equal(0, seen.LongestKnown([2, 1]));
    }

    [Fact]
    public void LongestKnown_BesidesItself_DoesNotCountItself()
    {
        var seen = new SeenPrefixes();
        seen.Add([1, 2, 3]);

        Assert.Equal(0, seen.LongestKnown([1, 2, 3], besides: [1, 2, 3]));
        seen.Add([1, 2, 8]);
        Assert.Equal(2, seen.LongestKnown([1, 2, 3], besides: [1, 2, 3]));
    }
}
