namespace Fleet.Inference.Engine.Speculation;

/// <summary>
/// Guesses what a reply says next from what was already said: answers quote their documents, code repeats its names. The last tokens are
/// looked up in the conversation's own tokens, and what followed them there is the guess (Saxena, "Prompt Lookup Decoding", 2023).
/// One reply's; decode thread only.
/// </summary>
internal sealed class PromptLookup(IReadOnlyList<int> tokens)
{
    // Two tokens match by chance all over a text; longer ones are found rarely and are covered by preferring the longer match.
    private const int Shortest = 3;
    private const int Longest = 8;

    // Where the token after each run of three last stood, and for each place the place before it with the same run.
    private readonly Dictionary<(int, int, int), int> _last = [];
    private readonly List<int> _before = [];
    private int _indexed;

    /// <summary>Writes up to the span's length of guesses; returns how many.</summary>
    public int Guess(Span<int> guesses)
    {
        // The run that ends the text is looked up, so it is not in the index yet.
        Index(tokens.Count - 1);
        if (tokens.Count < Shortest || !_last.TryGetValue(RunBefore(tokens.Count), out var place))
            return 0;

        // Of the last few places the one with the longest agreement before it; the latest among equals.
        var (best, agreement) = (place, Agreement(place));
        for (var looked = 0; looked < 4 && agreement < Longest && (place = _before[place]) > 0; looked++)
        {
            if (Agreement(place) is var longer && longer > agreement)
                (best, agreement) = (place, longer);
        }

        // Past the end of the text the guesses go on with themselves: what repeats, repeats.
        for (var i = 0; i < guesses.Length; i++)
            guesses[i] = best + i < tokens.Count ? tokens[best + i] : guesses[best + i - tokens.Count];
        return guesses.Length;
    }

    private void Index(int end)
    {
        for (; _indexed <= end; _indexed++)
        {
            var before = 0;
            if (_indexed >= Shortest)
            {
                var run = RunBefore(_indexed);
                _last.TryGetValue(run, out before);
                _last[run] = _indexed;
            }

            _before.Add(before);
        }
    }

    private (int, int, int) RunBefore(int place) => (tokens[place - 3], tokens[place - 2], tokens[place - 1]);

    private int Agreement(int place)
    {
        var length = Shortest;
        while (length < Longest && length < place && tokens[place - 1 - length] == tokens[tokens.Count - 1 - length])
            length++;
        return length;
    }
}
