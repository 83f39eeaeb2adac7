namespace Fleet.Inference.Engine.Speculation;

/// <summary>
/// One reply's guesses and how well they did. Guesses change nothing about the reply: each is computed beside the token before it, and the
/// reply's own sampler draws every token from its own scores; a guess only saves the step when it equals what was drawn. Decode thread only.
/// </summary>
internal sealed class Speculation(IReadOnlyList<int> tokens, DraftLength length)
{
    // Optimistic, so that the first matches are tried; a few misses turn it off.
    private const double FirstAcceptance = 0.75;
    private const double Learning = 0.2;

    // While guesses do not pay, one is tried this often to see whether the text has changed: a cost of about one in a hundred.
    private const int ProbeEvery = 64;

    private readonly PromptLookup _lookup = new(tokens);
    private readonly int[] _guesses = new int[DraftLength.Most];
    private double _acceptance = FirstAcceptance;
    private int _sinceTried;

    public int Drafted { get; private set; }

    public int Accepted { get; private set; }

    /// <summary>The guesses for the next step; empty most of the time. Valid until the next call.</summary>
    /// <param name="room">Tokens the reply may still have beside the next one.</param>
    public ReadOnlyMemory<int> Next(int room)
    {
        _sinceTried++;
        var found = room > 0 ? _lookup.Guess(_guesses.AsSpan(0, Math.Min(room, DraftLength.Most))) : 0;
        var count = length.Best(_acceptance, found);
        if (count == 0 && found > 0 && _sinceTried > ProbeEvery)
            count = 1;
        if (count > 0)
            _sinceTried = 0;
        return _guesses.AsMemory(0, count);
    }

    /// <summary>How many of the guesses were right, the first wrong one ending the row.</summary>
    public void Judged(int drafted, int accepted)
    {
        Drafted += drafted;
        Accepted += accepted;

        // Each right one and the one that failed are a trial; what came after it was never asked.
        for (var i = 0; i < accepted; i++)
            _acceptance += Learning * (1 - _acceptance);
        if (accepted < drafted)
            _acceptance -= Learning * _acceptance;
    }
}
