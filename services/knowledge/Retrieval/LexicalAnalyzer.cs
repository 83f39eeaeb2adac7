using System.Text;

namespace Fleet.Knowledge.Retrieval;

/// <summary>
/// Text to index terms, the same for passages and questions. Latin words and numbers are lowercased, with a plural s taken off.
/// Hangul (and other scripts without reliable word borders) gives bigrams, so that compounds and inflected forms meet, and each
/// Hangul word gives its stem without the particle, so that exact words rank above chance bigrams.
/// </summary>
internal static class LexicalAnalyzer
{
    /// <summary>Longer words are cut: no index row grows without bound on a line of base64.</summary>
    private const int MaxTermLength = 64;

    // Longest first: the first that fits is taken off.
    private static readonly string[] Particles =
    [
        "에서부터", "으로부터", "입니까", "입니다", "인가요", "에서는", "에서도", "에게서", "으로서", "으로써", "이라는", "이라고", "까지는", "부터는",
        "라는", "라고", "처럼", "보다", "마다", "까지", "부터", "에서", "에게", "한테", "으로", "이나", "이란", "이며", "하고", "에는", "에도", "와의", "과의",
        "은", "는", "이", "가", "을", "를", "에", "의", "로", "와", "과", "도", "만", "란", "며",
    ];

    private static readonly HashSet<string> StopWords = new(StringComparer.Ordinal)
    {
        "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "doe", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "is",
        "it", "its", "may", "my", "not", "of", "on", "or", "our", "that", "the", "their", "there", "they", "thi", "this", "to", "wa", "was", "we",
        "were", "what", "when", "where", "which", "who", "why", "will", "with", "you", "your",
    };

    /// <summary>How often each term occurs.</summary>
    public static Dictionary<string, int> Count(string text)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var term in Terms(text))
            counts[term] = counts.GetValueOrDefault(term) + 1;

        return counts;
    }

    /// <summary>Distinct terms of a question, without words that say nothing unless it has no others.</summary>
    public static string[] Query(string text, int limit)
    {
        var terms = Terms(text).Distinct(StringComparer.Ordinal).Take(limit * 2).ToList();
        var telling = terms.Where(term => !StopWords.Contains(term)).Take(limit).ToArray();
        return telling.Length > 0 ? telling : [.. terms.Take(limit)];
    }

    private static IEnumerable<string> Terms(string text)
    {
        text = text.Normalize(NormalizationForm.FormC);
        for (var start = 0; start < text.Length;)
        {
            var script = ScriptOf(text[start]);
            var end = start + 1;
            while (end < text.Length && ScriptOf(text[end]) == script)
                end++;

            if (script == Script.Word)
            {
                yield return Word(text.AsSpan(start, Math.Min(end - start, MaxTermLength)));
            }
            else if (script != Script.None)
            {
                if (end - start == 1)
                    yield return text[start].ToString();

                for (var at = start; at + 1 < end; at++)
                    yield return text.Substring(at, 2);

                // A two-syllable stem is a bigram already.
                if (script == Script.Hangul && StemLength(text.AsSpan(start, end - start)) is var stem and > 2 and <= MaxTermLength)
                    yield return text.Substring(start, stem);
            }

            start = end;
        }
    }

    private static string Word(ReadOnlySpan<char> word)
    {
        Span<char> lower = stackalloc char[word.Length];
        word.ToLowerInvariant(lower);
        var isPlural = lower.Length > 3 && lower[^1] == 's' && lower[^2] is not ('s' or 'u' or 'i');
        return (isPlural ? lower[..^1] : lower).ToString();
    }

    private static int StemLength(ReadOnlySpan<char> word)
    {
        foreach (var particle in Particles)
        {
            if (word.Length - particle.Length >= 2 && word.EndsWith(particle))
                return word.Length - particle.Length;
        }

        return word.Length;
    }

    private static Script ScriptOf(char character) => character switch
    {
        >= '\uAC00' and <= '\uD7A3' => Script.Hangul,
        >= '\u3040' and <= '\u30FF' or >= '\u3400' and <= '\u9FFF' => Script.Ideographs,
        _ when char.IsLetterOrDigit(character) => Script.Word,
        _ => Script.None,
    };

    private enum Script
    {
        None,
        Word,
        Hangul,
        Ideographs,
    }
}
