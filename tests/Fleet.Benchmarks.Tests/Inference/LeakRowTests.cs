using Fleet.Benchmarks.Inference;

namespace Fleet.Benchmarks.Tests.Inference;

public sealed class LeakRowTests
{
    [Fact]
    public void Difference_OfTheSame_IsNothing() => Assert.Equal(0, LeakRow.Difference(Of((1, -0.5, -1.5)), Of((1, -0.5, -1.5))));

    [Fact]
    public void Difference_OfAnotherPlaceInMemory_Shows() =>
        Assert.Equal(0.25, LeakRow.Difference(Of((1, -0.5, -1.5), (1, -0.5, -1.5)), Of((1, -0.5, -1.5), (1, -0.5, -1.75))), precision: 6);

    [Fact]
    public void Difference_ANearTieThatFellTheOtherWay_IsSmallAndEndsTheComparison() =>
        Assert.Equal(0.02, LeakRow.Difference(Of((1, -0.50, -0.51), (1, -9, -9)), Of((2, -0.51, -0.49), (2, -1, -1))), precision: 6);

    [Fact]
    public void Difference_OfAWordTheOtherDidNotEvenConsider_IsInfinite() =>
        Assert.Equal(double.PositiveInfinity, LeakRow.Difference(Of((7, -0.5, -1.5)), Of((1, -0.5, -1.5))));

    // Tokens 1 and 2 with their chances at each place.
    private static Reply Of(params (int Chosen, double One, double Two)[] places)
    {
        var reply = new Reply(new Ask([1], places.Length));
        reply.Chances.AddRange(places.Select(place => new TokenChances(
            place.Chosen, place.Chosen == 2 ? place.Two : place.One, new Dictionary<int, double> { [1] = place.One, [2] = place.Two })));
        return reply;
    }
}
