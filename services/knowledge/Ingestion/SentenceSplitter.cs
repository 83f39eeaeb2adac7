namespace Fleet.Knowledge.Ingestion;

/// <summary>
/// Borders of sentences in English and Korean prose. Korean lines often end without a full stop: a line break after a final
/// ending (다, 요, 까, …) is a border, and so is one before a list item.
/// </summary>
internal static class SentenceSplitter
{
    private const string Closers = "\"')]}”’」』》";
    private const string KoreanFinals = "다요까죠음함임됨것";

    private static readonly HashSet<string> Abbreviations = new(StringComparer.OrdinalIgnoreCase)
    {
        "e.g", "i.e", "mr", "mrs", "ms", "dr", "prof", "vs", "no", "fig", "st", "cf", "approx", "inc", "ltd", "al",
    };

    /// <summary>Ends of the sentences of <c>text[start..end]</c>, in order; the last one is <paramref name="end"/>.</summary>
    public static IEnumerable<int> Borders(string text, int start, int end)
    {
        for (var at = start; at < end; at++)
        {
            var border = text[at] switch
            {
                '。' or '！' or '？' => SkipClosers(text, at + 1, end),
                '.' or '!' or '?' or '…' => BorderAfterMark(text, start, at, end),
                '\n' => IsBorderLine(text, start, at, end) ? at : -1,
                _ => -1,
            };

            if (border <= at - 1 || border < 0)
                continue;

            if (border >= end)
                break;

            yield return border;
            at = Math.Max(at, border - 1);
        }

        yield return end;
    }

    private static int BorderAfterMark(string text, int start, int mark, int end)
    {
        var after = SkipClosers(text, mark + 1, end);
        if (after < end && !char.IsWhiteSpace(text[after]))
            return -1;

        return text[mark] == '.' && IsAbbreviation(text, start, mark) ? -1 : after;
    }

    private static bool IsAbbreviation(string text, int start, int mark)
    {
        var word = mark;
        while (word > start && !char.IsWhiteSpace(text[word - 1]) && text[word - 1] != '(')
            word--;

        var before = text.AsSpan(word, mark - word);
        if (before.Length == 1 && char.IsAsciiLetterUpper(before[0]))
            return true;

        // "1." at the start of a line numbers an item.
        if (before.Length is > 0 and <= 3 && before.IndexOfAnyExceptInRange('0', '9') < 0 && (word == start || text[word - 1] == '\n'))
            return true;

        return Abbreviations.GetAlternateLookup<ReadOnlySpan<char>>().Contains(before);
    }

    private static bool IsBorderLine(string text, int start, int newline, int end)
    {
        if (newline > start && KoreanFinals.Contains(text[newline - 1], StringComparison.Ordinal))
            return true;

        var next = newline + 1;
        while (next < end && text[next] is ' ' or '\t')
            next++;

        if (next + 1 >= end)
            return false;

        if (text[next] is '-' or '*' or '+' or '•' or '·' && char.IsWhiteSpace(text[next + 1]))
            return true;

        var digits = next;
        while (digits < end && char.IsAsciiDigit(text[digits]))
            digits++;

        return digits > next && digits < end && text[digits] is '.' or ')';
    }

    private static int SkipClosers(string text, int at, int end)
    {
        while (at < end && Closers.Contains(text[at], StringComparison.Ordinal))
            at++;

        return at;
    }
}
