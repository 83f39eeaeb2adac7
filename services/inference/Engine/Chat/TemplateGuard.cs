namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// Looks at a template's text before llama.cpp parses it. Its parser and runtime recurse as deep as the text nests, and a stack that is full
/// ends the process. What a template does when it runs (loops, macros that call themselves) cannot be told from its text: model files are
/// installed by administrators, and this guards against broken ones, not against a program that means harm.
/// </summary>
internal static class TemplateGuard
{
    // The largest of the templates known nest 12 blocks and 8 brackets and have tags of some 2,000 characters.
    private const int MostCharacters = 1024 * 1024;
    private const int MostDepth = 128;
    private const int MostTagCharacters = 16 * 1024;
    private const int MostBranches = 512;

    private static readonly string[] Openers = ["if", "for", "macro", "call", "filter"];

    /// <summary>Why the template must not be parsed, or null.</summary>
    public static string? WhyNot(string source)
    {
        if (source.Length > MostCharacters)
            return $"it has more than {MostCharacters} characters";

        var blocks = 0;
        var branches = 0;
        for (var at = source.IndexOf('{', StringComparison.Ordinal); at >= 0 && at + 1 < source.Length; at = source.IndexOf('{', at))
        {
            if (source[at + 1] == '#')
            {
                at = source.IndexOf("#}", at, StringComparison.Ordinal);
                if (at < 0)
                    return null;
                continue;
            }

            if (source[at + 1] is not ('%' or '{'))
            {
                at++;
                continue;
            }

            var end = End(source, at + 2, source[at + 1] == '%' ? '%' : '}', out var depth, out var length);
            if (depth > MostDepth || length > MostTagCharacters)
                return "an expression in it is nested too deep or too long";

            if (source[at + 1] == '%')
            {
                var word = FirstWord(source.AsSpan(at + 2, end - at - 2));
                blocks += Openers.Contains(word) ? 1 : word.StartsWith("end", StringComparison.Ordinal) && Openers.Contains(word[3..]) ? -1 : 0;
                branches += word == "elif" ? 1 : 0;
                if (blocks > MostDepth || branches > MostBranches)
                    return "its blocks are nested too deep";
            }

            at = end;
            if (at >= source.Length)
                break;
        }

        return null;
    }

    // Where the tag ends; how deep its brackets go, and how long it is, texts in quotes aside.
    private static int End(string source, int from, char closing, out int deepest, out int length)
    {
        var depth = 0;
        (deepest, length) = (0, 0);
        for (var i = from; i < source.Length; i++)
        {
            var character = source[i];
            if (character is '"' or '\'')
            {
                for (i++; i < source.Length && source[i] != character; i++)
                    i += source[i] == '\\' ? 1 : 0;
                continue;
            }

            length++;
            if (character == closing && depth <= 0 && i + 1 < source.Length && source[i + 1] == '}')
                return i + 2;
            depth += character is '(' or '[' or '{' ? 1 : character is ')' or ']' or '}' ? -1 : 0;
            deepest = Math.Max(deepest, depth);
        }

        return source.Length;
    }

    private static string FirstWord(ReadOnlySpan<char> tag)
    {
        var word = tag.TrimStart("-+ \t\r\n");
        var end = word.IndexOfAnyExceptInRange('a', 'z');
        return new string(end < 0 ? word : word[..end]);
    }
}
