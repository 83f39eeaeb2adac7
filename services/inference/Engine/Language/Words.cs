using System.Text;

namespace Fleet.Inference.Engine.Language;

internal enum WordKind
{
    /// <summary>Letters of an alphabet (Latin, Cyrillic, Greek …).</summary>
    Alphabetic,

    /// <summary>Hangul syllables: a stem with particles or endings attached.</summary>
    Hangul,

    /// <summary>Han characters and kana, written without spaces.</summary>
    Ideographic,

    Number,
}

internal readonly record struct Word(string Text, WordKind Kind);

/// <summary>
/// Cuts text into words of one script each, composed (NFC) and lower-cased: "RAG가" is the alphabetic word "rag" and the
/// Hangul word "가". Punctuation is dropped. Both built-in engines read text through this type, so a change here moves
/// the n-gram embedding space (its golden test says so).
/// </summary>
internal static class Words
{
    public static IEnumerable<Word> Read(string text)
    {
        var normalized = text.IsNormalized(NormalizationForm.FormC) ? text : text.Normalize(NormalizationForm.FormC);
        var start = 0;
        var kind = default(WordKind?);

        for (var i = 0; i <= normalized.Length; i++)
        {
            var next = i < normalized.Length ? KindOf(normalized[i]) : null;
            if (next == kind)
                continue;
            if (kind is { } ended)
                yield return new Word(normalized[start..i].ToLowerInvariant(), ended);

            start = i;
            kind = next;
        }
    }

    /// <summary>Hangul's share of all letters, 0–1: tells a Korean question from an English one.</summary>
    public static double HangulShare(string text)
    {
        var letters = 0;
        var hangul = 0;
        foreach (var c in text)
        {
            if (!char.IsLetter(c))
                continue;
            letters++;
            if (KindOf(c) == WordKind.Hangul)
                hangul++;
        }

        return letters == 0 ? 0 : (double)hangul / letters;
    }

    private static WordKind? KindOf(char c) => c switch
    {
        >= '\uAC00' and <= '\uD7A3' or >= '\u1100' and <= '\u11FF' or >= '\u3130' and <= '\u318F' => WordKind.Hangul,
        >= '\u3040' and <= '\u30FF' or >= '\u3400' and <= '\u4DBF' or >= '\u4E00' and <= '\u9FFF' => WordKind.Ideographic,
        >= '0' and <= '9' => WordKind.Number,
        _ when char.IsDigit(c) => WordKind.Number,
        _ when char.IsLetter(c) || char.GetUnicodeCategory(c) == System.Globalization.UnicodeCategory.NonSpacingMark => WordKind.Alphabetic,
        _ => null,
    };
}
