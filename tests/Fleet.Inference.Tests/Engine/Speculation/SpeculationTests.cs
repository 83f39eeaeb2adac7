using Fleet.Inference.Engine.Speculation;
using OneReply = Fleet.Inference.Engine.Speculation.Speculation;

namespace Fleet.Inference.Tests.Engine.Speculation;

public sealed class SpeculationTests
{
    [Fact]
    public void Guess_IsWhatFollowedTheSameTokensBefore()
    {
        var tokens = new List<int> { 1, 2, 3, 4, 5, 6, 9, 9, 2, 3, 4 };
        var lookup = new PromptLookup(tokens);

        Assert.Equal([5, 6], Guess(lookup, 2));
        Assert.Equal([5, 6, 9, 9, 2, 3, 4, 5], Guess(lookup, 8));

        tokens.Add(7);
        Assert.Empty(Guess(lookup, 8));
    }

    [Fact]
    public void Guess_PrefersTheLongerAgreement_ThenTheLaterPlace()
    {
        List<int> tokens = [8, 1, 2, 3, 50, 0, 1, 2, 3, 60, 0, 0, 1, 2, 3, 70, 4, 8, 1, 2, 3];
        Assert.Equal([50], Guess(new PromptLookup(tokens), 1));

        tokens[17] = 5;
        Assert.Equal([70], Guess(new PromptLookup(tokens), 1));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Guess_InAShortText_IsNone(int length) => Assert.Empty(Guess(new PromptLookup([.. Enumerable.Range(0, length)]), 8));

    [Fact]
    public void Guess_TokenByToken_EqualsAFreshLookup()
    {
        var random = new Random(7);
        var tokens = new List<int>();
        var lookup = new PromptLookup(tokens);
        for (var i = 0; i < 500; i++)
        {
            tokens.Add(random.Next(4));

            Assert.Equal(Guess(new PromptLookup(tokens), 5), Guess(lookup, 5));
        }
    }

    [Fact]
    public void Best_FollowsTheMachine()
    {
        // A processor: a token more costs 60 % of a step.
        var slow = Machine(0.6);
        Assert.Equal(0, slow.Best(acceptance: 0.4, available: 8));
        Assert.Equal(8, slow.Best(acceptance: 1, available: 8));
        Assert.InRange(slow.Best(acceptance: 0.85, available: 8), 1, 4);

        // A GPU: nearly free.
        var fast = Machine(0.02);
        Assert.InRange(fast.Best(acceptance: 0.4, available: 8), 2, 8);
        Assert.Equal(3, fast.Best(acceptance: 1, available: 3));

        Assert.Equal(0, new DraftLength().Best(1, 8));
    }

    [Fact]
    public void Best_WithOneNumberMeasured_AssumesAndThenLearns()
    {
        var length = new DraftLength();
        length.Measured(1, TimeSpan.FromMilliseconds(10));
        var assumed = length.Best(0.75, 8);
        Assert.InRange(assumed, 1, 8);

        for (var i = 0; i < 20; i++)
            length.Measured(1 + assumed, TimeSpan.FromMilliseconds(10 * (1 + assumed)));

        Assert.Equal(0, length.Best(0.75, 8));
    }

    [Fact]
    public void GuessesThatFail_StopAndAreProbedRarely()
    {
        // The same run again and again, followed by something else each time.
        var tokens = new List<int>();
        var speculation = new OneReply(tokens, Machine(0.6));
        var drafted = 0;
        for (var i = 0; i < 640; i++)
        {
            tokens.AddRange([1, 2, 3, 100 + i, 1, 2, 3]);
            var guesses = speculation.Next(room: 100).Length;
            drafted += guesses;
            if (guesses > 0)
                speculation.Judged(guesses, 0);
        }

        Assert.InRange(drafted, 1, 30);
        Assert.Equal((drafted, 0), (speculation.Drafted, speculation.Accepted));
    }

    [Fact]
    public void GuessesThatHold_GrowLonger()
    {
        var tokens = new List<int>();
        var speculation = new OneReply(tokens, Machine(0.6));
        for (var i = 0; i < 100; i++)
        {
            tokens.AddRange([5, 6, 7, 8, 9]);
            var guesses = speculation.Next(room: 100).Length;
            speculation.Judged(guesses, guesses);
        }

        Assert.Equal(DraftLength.Most, speculation.Next(room: 100).Length);
        Assert.Equal(2, speculation.Next(room: 2).Length);
        Assert.Equal(0, speculation.Next(room: 0).Length);
    }

    private static int[] Guess(PromptLookup lookup, int most)
    {
        var guesses = new int[most];
        return guesses[..lookup.Guess(guesses)];
    }

    private static DraftLength Machine(double slope)
    {
        var length = new DraftLength();
        for (var tokens = 1; tokens <= DraftLength.Most + 1; tokens++)
            length.Measured(tokens, TimeSpan.FromMilliseconds(10 * (1 + slope * (tokens - 1))));
        return length;
    }
}
