using System.Text;

namespace Fleet.Inference.Engine.Chat;

/// <summary>One way of writing what others wrote into a prompt: as it is, marked, or with its control tokens' texts broken.</summary>
/// <param name="Text">For plain text.</param>
internal sealed record UserTextForm(Func<string, string> Text)
{
    public static UserTextForm AsIs { get; } = new(text => text);

    /// <summary>
    /// Inside the strings of a JSON text, keys included. Unicode escapes of printable characters are resolved in every form: an escaped
    /// "&lt;" is one too, and templates that parse the text print it as such.
    /// </summary>
    public string Json(string json)
    {
        var result = new StringBuilder(json.Length + 16);
        var literal = new StringBuilder();
        var inString = false;
        for (var i = 0; i < json.Length; i++)
        {
            var character = json[i];
            if (character == '"')
            {
                Flush();
                inString = !inString;
                result.Append(character);
            }
            else if (!inString)
            {
                result.Append(character);
            }
            else if (character != '\\')
            {
                literal.Append(character);
            }
            else if (Unescape(json.AsSpan(i)) is { Taken: > 0 } escape)
            {
                literal.Append(escape.Characters);
                i += escape.Taken - 1;
            }
            else
            {
                // What stays an escape stays whole.
                Flush();
                var length = Math.Min(CodeUnit(json.AsSpan(i)) is null ? 2 : 6, json.Length - i);
                result.Append(json, i, length);
                i += length - 1;
            }
        }

        Flush();
        return result.ToString();

        void Flush()
        {
            if (literal.Length == 0)
                return;
            result.Append(Text(literal.ToString()));
            literal.Clear();
        }
    }

    // \uXXXX, or two of them for one character; nothing taken when the escape must stay (or is another one).
    private static (int Taken, string Characters) Unescape(ReadOnlySpan<char> text)
    {
        if (CodeUnit(text) is not { } first || char.IsControl(first) || first is '"' or '\\')
            return (0, "");
        if (!char.IsSurrogate(first))
            return (6, first.ToString());
        return char.IsHighSurrogate(first) && CodeUnit(text[6..]) is { } second && char.IsLowSurrogate(second)
            ? (12, new string([first, second]))
            : (6, "\uFFFD");
    }

    private static char? CodeUnit(ReadOnlySpan<char> text) =>
        text.Length >= 6 && text[0] == '\\' && text[1] == 'u'
            && ushort.TryParse(text[2..6], System.Globalization.NumberStyles.AllowHexSpecifier, null, out var unit)
            ? (char)unit
            : null;
}

/// <summary>
/// Marks what others wrote, character by character, so that a template's output shows which of its characters are theirs. A marked
/// character moves to a private plane of Unicode: it stays one character through trimming, JSON escaping, joining and reordering.
/// </summary>
internal static class UserTextMarks
{
    private const int Plane = 0xF0000;

    public static string Mark(string text, ControlTexts control)
    {
        var result = new StringBuilder(text.Length * 2);
        foreach (var character in text)
        {
            if (control.Contains(character))
                result.Append(char.ConvertFromUtf32(Plane + character));
            else
                result.Append(character);
        }

        return result.ToString();
    }

    /// <summary>
    /// Lays the marked output beside the real one. Null when they differ in more than marks: the template decided by the text, and so
    /// nothing can be said; else true for every character (UTF-16 unit) of the real one that others wrote.
    /// </summary>
    public static bool[]? Align(string real, string marked)
    {
        var theirs = new bool[real.Length];
        var at = 0;
        for (var i = 0; i < real.Length; i++, at++)
        {
            if (at >= marked.Length)
                return null;
            if (real[i] == marked[at])
                continue;
            if (at + 1 >= marked.Length || !char.IsSurrogatePair(marked[at], marked[at + 1]))
                return null;

            // Templates may change the case of what they print; a mark has none.
            var original = char.ConvertToUtf32(marked[at], marked[at + 1]) - Plane;
            if (original is < 0 or > char.MaxValue || char.ToUpperInvariant((char)original) != char.ToUpperInvariant(real[i]))
                return null;
            theirs[i] = true;
            at++;
        }

        return at == marked.Length ? theirs : null;
    }
}
