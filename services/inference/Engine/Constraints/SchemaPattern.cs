using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// A JSON Schema "pattern", read twice: as a pattern that llama.cpp's schema converter turns into exactly what it says, and as a .NET
/// expression for the check of the finished reply. The converter knows no \d, takes a dot for a quotation mark and repeats more than the last
/// character after an escape; what it is given here has none of that. Characters that JSON must escape are left out of sets.
/// </summary>
internal sealed class SchemaPattern
{
    private const int MaxLength = 2000;
    private const int MaxDepth = 20;
    private const int LastCodePoint = 0x10FFFF;

    // What cannot stand unescaped between a JSON string's quotation marks, and halves of UTF-16 pairs, which no text has.
    private static readonly (int, int)[] Unwritable = [(0, 0x1F), ('"', '"'), ('\\', '\\'), (0x7F, 0x7F), (0xD800, 0xDFFF)];
    private static readonly (int, int)[] Digits = [('0', '9')];
    private static readonly (int, int)[] WordCharacters = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
    private static readonly (int, int)[] Spaces = [(9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)];

    private readonly string _text;
    private readonly StringBuilder _grammar = new("^");
    private readonly StringBuilder _expression = new("^");
    private int _at = 1;

    private SchemaPattern(string text) => _text = text;

    /// <summary>For the converter.</summary>
    public string Grammar => _grammar.ToString();

    /// <summary>For finished values; linear in their length.</summary>
    public Regex Expression { get; private set; } = null!;

    private int End => _text.Length - 1;

    /// <summary>Throws <see cref="FormatException"/> with what cannot be done.</summary>
    public static SchemaPattern Parse(string text)
    {
        if (text.Length > MaxLength)
            throw new FormatException($"has more than {MaxLength} characters");
        if (text.Length < 2 || text[0] != '^' || text[^1] != '$' || EndsEscaped(text))
            throw new FormatException("must begin with ^ and end with $");

        var pattern = new SchemaPattern(text);
        pattern.ReadAlternatives(depth: 0);
        if (pattern._at < pattern.End)
            throw new FormatException("has a ) too many");
        pattern._grammar.Append('$');
        pattern._expression.Append(@"\z");
        pattern.Expression = new Regex(pattern._expression.ToString(), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        return pattern;
    }

    private static bool EndsEscaped(string text)
    {
        var backslashes = 0;
        for (var i = text.Length - 2; i >= 0 && text[i] == '\\'; i--)
            backslashes++;
        return backslashes % 2 == 1;
    }

    private void ReadAlternatives(int depth)
    {
        if (depth > MaxDepth)
            throw new FormatException($"has more than {MaxDepth} groups in each other");

        while (_at < End && _text[_at] != ')')
        {
            if (_text[_at] == '|')
            {
                if (depth == 0)
                    throw new FormatException("has alternatives outside a group: write ^(a|b)$");
                _at++;
                Append("|");
                continue;
            }

            ReadItem(depth);
        }
    }

    private void ReadItem(int depth)
    {
        var (grammarStart, expressionStart) = (_grammar.Length, _expression.Length);
        int? single = null;
        switch (_text[_at])
        {
            case '(':
                ReadGroup(depth);
                break;
            case '[':
                AppendSet(ReadSet());
                break;
            case '.':
                _at++;
                AppendSet(Not([('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)]));
                break;
            case '*' or '+' or '?' or '{':
                throw new FormatException("repeats nothing");
            case '^' or '$':
                throw new FormatException("has ^ or $ inside");
            case ']' or '}':
                throw new FormatException($"has a {_text[_at]} without its beginning");
            case '\\':
                var (set, character) = ReadEscape();
                if (set is not null)
                    AppendSet(set);
                else
                    AppendCharacter((single = character)!.Value);
                break;
            default:
                AppendCharacter((single = ReadRune())!.Value);
                break;
        }

        if (ReadRepetition() is not { } repetition)
            return;

        // Grouped, so that exactly this item repeats.
        _grammar.Insert(grammarStart, '(').Append(')').Append(repetition);
        _expression.Insert(expressionStart, "(?:").Append(')').Append(repetition);
    }

    private void ReadGroup(int depth)
    {
        _at++;
        if (_at < End && _text[_at] == '?')
        {
            if (_at + 1 >= End || _text[_at + 1] != ':')
                throw new FormatException("uses look-around, a named group or flags");
            _at += 2;
        }

        _grammar.Append('(');
        _expression.Append("(?:");
        ReadAlternatives(depth + 1);
        if (_at >= End)
            throw new FormatException("has a ( without its )");
        _at++;
        Append(")");
    }

    private IReadOnlyList<(int, int)> ReadSet()
    {
        _at++;
        var negated = _at < End && _text[_at] == '^';
        if (negated)
            _at++;

        var ranges = new List<(int, int)>();
        while (_at < End && _text[_at] != ']')
        {
            var (set, first) = ReadSetMember();
            if (set is not null)
            {
                ranges.AddRange(set);
                continue;
            }

            var last = first!.Value;
            if (_at + 1 < End && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                last = ReadSetMember().Character ?? throw new FormatException("has a range that ends with a class");
                if (last < first)
                    throw new FormatException("has a range that ends before it begins");
            }

            ranges.Add((first.Value, last));
        }

        if (_at >= End)
            throw new FormatException("has a [ without its ]");
        _at++;
        return negated ? Not(ranges) : ranges;
    }

    private (IReadOnlyList<(int, int)>? Set, int? Character) ReadSetMember() => _text[_at] == '\\' ? ReadEscape() : (null, ReadRune());

    private (IReadOnlyList<(int, int)>? Set, int? Character) ReadEscape()
    {
        _at++;
        if (_at >= End)
            throw new FormatException("ends with a backslash");

        var escaped = _text[_at++];
        return escaped switch
        {
            'd' => (Digits, null),
            'D' => (Not(Digits), null),
            'w' => (WordCharacters, null),
            'W' => (Not(WordCharacters), null),
            's' => (Spaces, null),
            'S' => (Not(Spaces), null),
            't' => (null, '\t'),
            'n' => (null, '\n'),
            'r' => (null, '\r'),
            'f' => (null, '\f'),
            'v' => (null, '\v'),
            'x' => (null, ReadHex(2)),
            'u' => (null, ReadHex(4)),
            _ when char.IsAsciiLetterOrDigit(escaped) => throw new FormatException($"uses \\{escaped}, which cannot become a grammar"),
            _ => (null, escaped),
        };
    }

    private int ReadHex(int digits)
    {
        if (_at + digits > End || !int.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw new FormatException("has an escape without its hexadecimal digits");
        _at += digits;
        return value;
    }

    private int ReadRune()
    {
        if (Rune.DecodeFromUtf16(_text.AsSpan(_at), out var rune, out var length) != System.Buffers.OperationStatus.Done)
            throw new FormatException("has half a character");
        _at += length;
        return rune.Value;
    }

    private string? ReadRepetition()
    {
        if (_at >= End)
            return null;

        var start = _at;
        switch (_text[_at])
        {
            case '*' or '+' or '?':
                _at++;
                break;
            case '{':
                var close = _text.IndexOf('}', _at);
                var bounds = close < 0 ? [] : _text[(_at + 1)..close].Split(',');
                if (bounds.Length is < 1 or > 2 || !TryCount(bounds[0], out var least) || (bounds.Length == 2 && bounds[1].Length > 0 && (!TryCount(bounds[1], out var most) || most < least)))
                    throw new FormatException($"has a {{ that is no repetition of at most {GbnfParser.MaxRepetitions}");
                _at = close + 1;
                break;
            default:
                return null;
        }

        var repetition = _text[start.._at];
        if (_at < End && _text[_at] == '+')
            throw new FormatException("uses a possessive repetition");

        // Greedy or not makes no difference to what is matched from ^ to $.
        if (_at < End && _text[_at] == '?')
            _at++;
        if (_at < End && _text[_at] is '*' or '+' or '?' or '{')
            throw new FormatException("repeats a repetition");
        return repetition;
    }

    private static bool TryCount(string text, out int count) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count <= GbnfParser.MaxRepetitions;

    private void AppendCharacter(int character)
    {
        AppendForExpression([(character, character)]);
        AppendForGrammar([(character, character)]);
    }

    private void AppendSet(IReadOnlyList<(int, int)> ranges)
    {
        AppendForExpression(ranges);
        AppendForGrammar(ranges);
    }

    private void Append(string text)
    {
        _grammar.Append(text);
        _expression.Append(text);
    }

    private void AppendForGrammar(IReadOnlyList<(int First, int Last)> ranges)
    {
        var writable = Without(ranges, Unwritable);
        if (writable.Count > 0)
        {
            _grammar.Append('[');
            foreach (var (first, last) in writable)
            {
                _grammar.Append(Escape(first));
                if (last > first)
                    _grammar.Append('-').Append(Escape(last));
            }

            _grammar.Append(']');
            return;
        }

        // Only characters that JSON escapes: their escapes, spelt out.
        var escapes = "\"\\\n\r\t".Where(character => ranges.Any(range => range.First <= character && character <= range.Last))
            .Select(character => character switch { '"' => "\\\\\\\"", '\\' => "\\\\\\\\", '\n' => "\\\\n", '\r' => "\\\\r", _ => "\\\\t" }).ToList();
        if (escapes.Count == 0)
            throw new FormatException("asks for a character that JSON text cannot hold");
        _grammar.Append('(').AppendJoin('|', escapes).Append(')');
    }

    private void AppendForExpression(IReadOnlyList<(int First, int Last)> ranges)
    {
        // .NET counts UTF-16 units; a character beyond the basic plane is two of them.
        var basic = Without(ranges, [(0xD800, 0xDFFF), (0x10000, LastCodePoint)]);
        var beyond = Without(ranges, [(0, 0xFFFF)]);
        var whole = beyond is [(0x10000, LastCodePoint)];
        if (beyond.Count > 0 && !whole && beyond.Any(range => range.First != range.Last))
            throw new FormatException("has a range of characters beyond U+FFFF");

        var alternatives = new List<string>();
        if (basic.Count > 0)
            alternatives.Add($"[{string.Concat(basic.Select(range => $"\\u{range.First:X4}-\\u{range.Last:X4}"))}]");
        if (whole)
            alternatives.Add(@"[\uD800-\uDBFF][\uDC00-\uDFFF]");
        else
            alternatives.AddRange(beyond.Select(range => string.Concat(char.ConvertFromUtf32(range.First).Select(unit => $"\\u{(int)unit:X4}"))));
        if (alternatives.Count == 0)
            throw new FormatException("has an empty set");
        _expression.Append("(?:").AppendJoin('|', alternatives).Append(')');
    }

    private static string Escape(int character) => character <= 0xFFFF ? $"\\u{character:X4}" : $"\\U{character:X8}";

    private static IReadOnlyList<(int First, int Last)> Not(IReadOnlyList<(int, int)> ranges) => new CharacterSet(ranges, negated: true).Ranges;

    private static IReadOnlyList<(int First, int Last)> Without(IReadOnlyList<(int, int)> ranges, IReadOnlyList<(int, int)> others) =>
        Not([.. Not(ranges), .. others]);
}
