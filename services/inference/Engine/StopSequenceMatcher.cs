namespace Fleet.Inference.Engine;

/// <summary>
/// Finds stop sequences in text that arrives in pieces. Text that could still become one is held back until it is decided;
/// of several sequences that match, the one that starts first wins.
/// </summary>
internal sealed class StopSequenceMatcher(IReadOnlyList<string> sequences)
{
    private string _held = "";

    public bool Matched { get; private set; }

    /// <summary>Takes the next piece and returns what is certain to be part of the reply.</summary>
    public string Append(string piece)
    {
        if (Matched)
            return "";
        if (sequences.Count == 0)
            return piece;

        var text = _held + piece;
        var end = FirstMatch(text);
        if (end >= 0)
        {
            Matched = true;
            _held = "";
            return text[..end];
        }

        var hold = LongestPossibleStart(text);
        _held = text[^hold..];
        return text[..^hold];
    }

    /// <summary>The reply ended otherwise: what was held back belongs to it.</summary>
    public string Flush()
    {
        var held = _held;
        _held = "";
        return held;
    }

    private int FirstMatch(string text)
    {
        var first = -1;
        foreach (var sequence in sequences)
        {
            var at = text.IndexOf(sequence, StringComparison.Ordinal);
            if (at >= 0 && (first < 0 || at < first))
                first = at;
        }

        return first;
    }

    private int LongestPossibleStart(string text)
    {
        var longest = 0;
        foreach (var sequence in sequences)
        {
            for (var length = Math.Min(sequence.Length - 1, text.Length); length > longest; length--)
            {
                if (text.EndsWith(sequence[..length], StringComparison.Ordinal))
                    longest = length;
            }
        }

        return longest;
    }
}
