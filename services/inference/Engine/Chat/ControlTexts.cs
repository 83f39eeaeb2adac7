using System.Buffers;
using System.Text;

namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// The texts a vocabulary reads as control tokens where it is allowed to. Someone else's text may contain them; it must not become them.
/// </summary>
internal sealed class ControlTexts
{
    private const char ZeroWidthSpace = '\u200B';
    private const char Replacement = '\uFFFD';

    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _texts;
    private readonly int[] _lengths;
    private readonly SearchValues<string> _search;
    private readonly HashSet<char> _alphabet;

    public ControlTexts(IEnumerable<string> texts)
    {
        var distinct = texts.Where(text => text.Length > 0).ToHashSet(StringComparer.Ordinal);
        _texts = distinct.GetAlternateLookup<ReadOnlySpan<char>>();
        _lengths = [.. distinct.Select(text => text.Length).Distinct().OrderDescending()];
        _search = SearchValues.Create([.. distinct], StringComparison.Ordinal);
        _alphabet = [.. distinct.SelectMany(text => text).Where(IsMarkable)];
    }

    /// <summary>
    /// Whether a character can be part of a control token and can be marked. White space, quotes and backslashes cannot: templates trim and
    /// JSON-escape, and a marked text must pass through that as the real one does.
    /// </summary>
    public bool Contains(char character) => _alphabet.Contains(character);

    /// <summary>Every occurrence, overlapping ones too.</summary>
    public IEnumerable<Range> Find(string text)
    {
        for (var at = 0; at < text.Length; at++)
        {
            var next = text.AsSpan(at).IndexOfAny(_search);
            if (next < 0)
                yield break;
            at += next;
            foreach (var length in _lengths)
            {
                if (at + length <= text.Length && _texts.Contains(text.AsSpan(at, length)))
                    yield return at..(at + length);
            }
        }
    }

    /// <summary>The text with an invisible character inside every occurrence, so that none is left; one of a single character is replaced.</summary>
    public string Break(string text)
    {
        if (text.AsSpan().IndexOfAny(_search) < 0)
            return text;

        var result = new StringBuilder(text.Length + 16);
        var done = 0;
        foreach (var (start, length) in Find(text).Select(occurrence => occurrence.GetOffsetAndLength(text.Length)))
        {
            if (start < done)
                continue;
            result.Append(text, done, start - done).Append(length == 1 ? Replacement : text[start]);
            if (length > 1)
                result.Append(ZeroWidthSpace);
            done = start + 1;
        }

        return result.Append(text, done, text.Length - done).ToString();
    }

    private static bool IsMarkable(char character) =>
        character > ' ' && character is not ('"' or '\\') && !char.IsSurrogate(character) && !char.IsWhiteSpace(character) && !char.IsControl(character);
}
