using System.Collections.Frozen;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>
/// Splits running text into sentences, English and Korean. A full stop ends one unless it belongs to a decimal, an abbreviation, an
/// initial or a file name; Korean needs no space after it.
/// </summary>
internal static class SentenceSplitter
{
    private static readonly FrozenSet<string> Abbreviations = new[]
    {
        "e.g", "i.e", "etc", "vs", "cf", "al", "mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "no", "nos", "fig", "figs", "sec", "vol", "pp",
        "approx", "dept", "est", "inc", "ltd", "co", "corp", "u.s", "u.k", "a.m", "p.m", "ph.d",
        "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public static IEnumerable<string> Split(string text)
    {
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (!IsTerminator(text[i]))
                continue;

            var end = i + 1;
            while (end < text.Length && (IsTerminator(text[end]) || IsCloser(text[end])))
                end++;

            if (EndsSentence(text, start, i, end))
            {
                if (Trimmed(text, start, end) is { } sentence)
                    yield return sentence;
                start = end;
            }

            i = end - 1;
        }

        if (Trimmed(text, start, text.Length) is { } rest)
            yield return rest;
    }

    private static bool EndsSentence(string text, int start, int stop, int end)
    {
        if (end >= text.Length)
            return true;

        var afterHangul = stop > 0 && text[stop - 1] is >= '\uAC00' and <= '\uD7A3';
        var next = text[end];
        if (text[stop] is '。' or '！' or '？')
            return true;
        if (!char.IsWhiteSpace(next))
            return afterHangul && next is >= '\uAC00' and <= '\uD7A3';
        if (text[stop] != '.' || afterHangul)
            return true;

        var following = text.AsSpan(end).TrimStart();
        if (following.Length > 0 && char.IsLower(following[0]))
            return false;

        var word = LastWord(text, start, stop);
        var isInitial = word.Length == 1 && char.IsUpper(word[0]);
        var isEnumerator = word.Length is > 0 and <= 3 && word.IndexOfAnyExceptInRange('0', '9') < 0 && text.AsSpan(start, stop - start).Trim().Length == word.Length;
        return !isInitial && !isEnumerator && !Abbreviations.GetAlternateLookup<ReadOnlySpan<char>>().Contains(word);
    }

    private static ReadOnlySpan<char> LastWord(string text, int start, int stop)
    {
        var from = stop;
        while (from > start && !char.IsWhiteSpace(text[from - 1]) && text[from - 1] is not ('(' or '"' or '“'))
            from--;
        return text.AsSpan(from, stop - from);
    }

    private static string? Trimmed(string text, int start, int end) => text.AsSpan(start, end - start).Trim() is { Length: > 0 } sentence ? sentence.ToString() : null;

    private static bool IsTerminator(char c) => c is '.' or '!' or '?' or '。' or '！' or '？' or '…';

    private static bool IsCloser(char c) => c is '"' or '\'' or ')' or ']' or '”' or '’' or '»' or '」' or '』';
}
