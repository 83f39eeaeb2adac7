using System.Buffers;

namespace Fleet.Inference.Engine.Language;

/// <summary>
/// Takes the commonest endings off a word so that "보증은" meets "보증" and "limits" meets "limit". Deliberately shallow:
/// both sides of every comparison are cut alike, and n-grams catch what it misses.
/// </summary>
internal static class Stemmer
{
    // Longest first, so that 에서는 is not cut to 에서.
    private static readonly string[] HangulEndings = [.. new[]
    {
        "이라고", "이라는", "이란", "라는", "에서는", "에서도", "으로는", "으로도", "에게는", "까지는", "부터는", "에는", "에도", "로는",
        "으로", "에서", "에게", "까지", "부터", "처럼", "보다", "마다", "이나", "이며", "이고", "하고", "한테", "께서", "조차", "밖에",
        "입니다", "입니까", "인가요", "인가", "이에요", "예요", "이다", "이야",
        "합니다", "합니까", "하나요", "하는가", "하는", "하여", "해야", "했다", "한다", "하면", "하기", "할까요", "할까",
        "됩니다", "됩니까", "되나요", "되는", "되어", "된다", "되면", "되고",
        "습니다", "습니까", "나요", "까요", "은", "는", "이", "가", "을", "를", "의", "에", "로", "와", "과", "도", "만", "들",
    }.OrderByDescending(ending => ending.Length)];

    // A one-syllable stem is left only by endings that hardly ever close a noun.
    private static readonly SearchValues<char> SafeAfterOneSyllable = SearchValues.Create("은는을를");

    public static string Stem(Word word) => word.Kind switch
    {
        WordKind.Hangul => StemHangul(word.Text),
        WordKind.Alphabetic => StemAlphabetic(word.Text),
        _ => word.Text,
    };

    private static string StemHangul(string text)
    {
        foreach (var ending in HangulEndings)
        {
            var left = text.Length - ending.Length;
            if (left < 1 || !text.EndsWith(ending, StringComparison.Ordinal))
                continue;
            if (left >= 2 || ending.Length >= 2 || SafeAfterOneSyllable.Contains(ending[0]))
                return text[..left];
        }

        return text;
    }

    private static string StemAlphabetic(string text) => text switch
    {
        { Length: > 5 } when text.EndsWith("ies", StringComparison.Ordinal) => text[..^3] + "y",
        { Length: > 6 } when text.EndsWith("ing", StringComparison.Ordinal) => Undouble(text[..^3]),
        { Length: > 5 } when text.EndsWith("ed", StringComparison.Ordinal) => Undouble(text[..^2]),
        { Length: > 4 } when HasSibilantPlural(text) => text[..^2],
        { Length: > 3 } when text[^1] == 's' && text[^2] is not ('s' or 'u' or 'i') => TrimSilentE(text[..^1]),
        _ => TrimSilentE(text),
    };

    // "stored", "storing", "stores" and "store" all become "stor".
    private static string TrimSilentE(string text) => text.Length > 4 && text[^1] == 'e' ? text[..^1] : text;

    private static string Undouble(string text) =>
        text.Length > 3 && text[^1] == text[^2] && text[^1] is not ('l' or 's' or 'e') ? text[..^1] : TrimSilentE(text);

    private static bool HasSibilantPlural(string text) =>
        text.EndsWith("sses", StringComparison.Ordinal) || text.EndsWith("xes", StringComparison.Ordinal)
        || text.EndsWith("ches", StringComparison.Ordinal) || text.EndsWith("shes", StringComparison.Ordinal);
}
