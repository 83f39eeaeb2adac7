using System.Globalization;
using System.Text;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Reads GBNF (llama.cpp's grammars/README.md, v0.5.0) within bounds that a hostile text cannot break: what it grows to, how deep it nests and
/// how often it repeats. Every refusal is an <see cref="EngineException"/> that names the line, the column and the rule.
/// One long file: a recursive-descent parser is one method a production over one position.
/// </summary>
internal sealed class GbnfParser
{
    public const int MaxLength = 262_144;

    private const int MaxElements = 400_000;
    private const int MaxRules = 50_000;
    private const int MaxDepth = 100;

    // Five times llama.cpp's limit. More "at most" than this is no limit at all, there as here.
    public const int MaxRepetitions = 10_000;

    private readonly string _text;
    private readonly Func<string, int?> _findToken;
    private readonly Dictionary<string, int> _names = new(StringComparer.Ordinal);
    private readonly List<(string Name, int FirstUse)> _rulesByNumber = [];
    private readonly List<List<GbnfElement>?> _rules = [];
    private readonly List<CharacterSet> _sets = [];
    private readonly int _tokens;
    private string _rule = "";
    private int _at;
    private int _elements;

    private GbnfParser(string text, int tokens, Func<string, int?> findToken) => (_text, _tokens, _findToken) = (text, tokens, findToken);

    private char Current => _at < _text.Length ? _text[_at] : '\0';

    /// <param name="text">Rules, one of them named root.</param>
    /// <param name="tokens">Size of the vocabulary.</param>
    /// <param name="findToken">The token with this spelling, for elements like &lt;think&gt;.</param>
    public static GbnfGrammar Parse(string text, int tokens, Func<string, int?> findToken)
    {
        if (text.Length > MaxLength)
            throw new EngineException(EngineError.InvalidRequest, $"The grammar has {text.Length} characters; {MaxLength} are allowed.");

        return new GbnfParser(text, tokens, findToken).Parse();
    }

    private GbnfGrammar Parse()
    {
        SkipSpace(newlines: true);
        while (_at < _text.Length)
            ReadRule();

        foreach (var (name, firstUse) in _rulesByNumber.Where((_, number) => _rules[number] is null))
        {
            _at = firstUse;
            throw Error($"rule {name} is not defined");
        }

        if (!_names.TryGetValue("root", out var root))
            throw new EngineException(EngineError.InvalidRequest, "The grammar has no rule named root.");

        var grammar = new GbnfGrammar([.. _rules.Select(rule => rule!)], _sets, root);
        if (grammar.FindLeftRecursion() is { } recursive)
            throw new EngineException(EngineError.InvalidRequest, $"The grammar is left-recursive: rule {_rulesByNumber[recursive].Name} can begin with itself.");
        return grammar;
    }

    private void ReadRule()
    {
        var name = ReadName();
        _rule = name;
        var number = Number(name, _at - name.Length);
        SkipSpace(newlines: false);
        if (!_text.AsSpan(_at).StartsWith("::=", StringComparison.Ordinal))
            throw Error("expected ::=");
        _at += 3;
        SkipSpace(newlines: true);
        _rules[number] = ReadAlternatives(depth: 0);
        if (_at < _text.Length && Current is not ('\r' or '\n'))
            throw Error(Current == ')' ? "unexpected )" : "expected the end of the line");
        SkipSpace(newlines: true);
    }

    private List<GbnfElement> ReadAlternatives(int depth)
    {
        if (depth > MaxDepth)
            throw Error($"more than {MaxDepth} nested groups");

        var rule = new List<GbnfElement>();
        ReadSequence(rule, depth);
        while (Current == '|')
        {
            _at++;
            SkipSpace(newlines: true);
            Add(rule, GbnfKind.Or, 0);
            ReadSequence(rule, depth);
        }

        Add(rule, GbnfKind.End, 0);
        return rule;
    }

    private void ReadSequence(List<GbnfElement> rule, int depth)
    {
        // Where the item began that a repetition sign would repeat, and how many rules repeating it costs.
        var (item, cost) = (rule.Count, 1L);
        while (_at < _text.Length)
        {
            switch (Current)
            {
                case '"':
                    (item, cost) = (rule.Count, 1);
                    ReadLiteral(rule);
                    break;
                case '[':
                    (item, cost) = (rule.Count, 1);
                    ReadSet(rule);
                    break;
                case '.':
                    (item, cost) = (rule.Count, 1);
                    _at++;
                    AddSet(rule, new CharacterSet([], negated: true));
                    break;
                case '<' or '!':
                    (item, cost) = (rule.Count, 1);
                    ReadToken(rule);
                    break;
                case '(':
                    item = rule.Count;
                    var before = _rules.Count;
                    ReadGroup(rule, depth);
                    cost = _rules.Count - before;
                    break;
                case '*' or '+' or '?' or '{':
                    var at = _at;
                    var (least, most) = ReadRepetition(depth > 0);
                    if (item == rule.Count)
                        throw Error("nothing to repeat", at);
                    cost *= Math.Max(1, most ?? least);
                    if (cost > MaxRepetitions)
                        throw Error($"repeats more than {MaxRepetitions} times, nested repetitions multiplied", at);
                    Repeat(rule, item, least, most);
                    break;
                case var character when IsNameCharacter(character):
                    (item, cost) = (rule.Count, 1);
                    var start = _at;
                    Add(rule, GbnfKind.Rule, Number(ReadName(), start));
                    break;
                default:
                    return;
            }

            SkipSpace(newlines: depth > 0);
        }
    }

    private void ReadLiteral(List<GbnfElement> rule)
    {
        var opened = _at++;
        while (Current != '"')
        {
            if (_at >= _text.Length)
                throw Error("this literal has no closing quote", opened);
            Add(rule, GbnfKind.Character, ReadCharacter());
        }

        _at++;
    }

    private void ReadSet(List<GbnfElement> rule)
    {
        var opened = _at++;
        var negated = Current == '^';
        if (negated)
            _at++;

        var ranges = new List<(int, int)>();
        while (Current != ']')
        {
            if (_at >= _text.Length)
                throw Error("this set has no closing bracket", opened);

            var first = ReadCharacter();
            var last = first;
            if (Current == '-' && _at + 1 < _text.Length && _text[_at + 1] != ']')
            {
                _at++;
                last = ReadCharacter();
                if (last < first)
                    throw Error("this range ends before it begins");
            }

            ranges.Add((first, last));
        }

        _at++;
        AddSet(rule, new CharacterSet(ranges, negated));
    }

    private void ReadToken(List<GbnfElement> rule)
    {
        var kind = GbnfKind.Token;
        if (Current == '!')
        {
            kind = GbnfKind.OtherToken;
            _at++;
        }

        var end = Current == '<' ? _text.IndexOf('>', _at) : -1;
        if (end < 0)
            throw Error("expected a token: <text> or <[id]>");

        var spelling = _text[_at..(end + 1)];
        var byNumber = spelling is ['<', '[', .., ']', '>'];
        var id = byNumber && int.TryParse(spelling.AsSpan(2, spelling.Length - 4), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? (number < _tokens ? number : null)
            : byNumber ? null : _findToken(spelling);
        if (id is null)
            throw Error("the model has no such token");
        _at = end + 1;
        Add(rule, kind, id.Value);
    }

    private void ReadGroup(List<GbnfElement> rule, int depth)
    {
        var opened = _at++;
        SkipSpace(newlines: true);
        var number = NewRule();
        _rules[number] = ReadAlternatives(depth + 1);
        if (Current != ')')
            throw _at < _text.Length ? Error("expected )") : Error("this group has no closing parenthesis", opened);
        _at++;
        Add(rule, GbnfKind.Rule, number);
    }

    private (int Least, int? Most) ReadRepetition(bool newlines)
    {
        var sign = Current;
        _at++;
        switch (sign)
        {
            case '*':
                return (0, null);
            case '+':
                return (1, null);
            case '?':
                return (0, 1);
        }

        SkipSpace(newlines);
        var least = ReadNumber();
        if (least > MaxRepetitions)
            throw Error($"at most {MaxRepetitions} repetitions are allowed");
        SkipSpace(newlines);
        int? most = least;
        if (Current == ',')
        {
            _at++;
            SkipSpace(newlines);
            most = char.IsAsciiDigit(Current) ? ReadNumber() : null;
            SkipSpace(newlines);
            if (most < least)
                throw Error("the most repetitions are fewer than the least");
        }

        if (Current != '}')
            throw Error("expected , or }");
        _at++;
        return (least, most > MaxRepetitions ? null : most);
    }

    // x{2,4} becomes x x a, a ::= x b | , b ::= x | ; x* becomes a, a ::= x a | .
    private void Repeat(List<GbnfElement> rule, int start, int least, int? most)
    {
        var item = rule.GetRange(start, rule.Count - start);
        rule.RemoveRange(start, item.Count);
        for (var i = 0; i < least; i++)
            AddRange(rule, item);

        int? rest = null;
        for (var i = most is null ? 1 : most.Value - least; i > 0; i--)
        {
            var number = NewRule();
            var more = new List<GbnfElement>();
            AddRange(more, item);
            if (most is null)
                Add(more, GbnfKind.Again, number);
            else if (rest is not null)
                Add(more, GbnfKind.Rule, rest.Value);
            Add(more, GbnfKind.Or, 0);
            Add(more, GbnfKind.End, 0);
            _rules[number] = more;
            rest = number;
        }

        if (rest is not null)
            Add(rule, GbnfKind.Rule, rest.Value);
    }

    private int ReadCharacter()
    {
        if (Current == '\\')
        {
            _at += 2;
            return (_at <= _text.Length ? _text[_at - 1] : '\0') switch
            {
                'x' => ReadHex(2),
                'u' => ReadHex(4),
                'U' => ReadHex(8),
                't' => '\t',
                'r' => '\r',
                'n' => '\n',
                var escaped and ('\\' or '"' or '[' or ']' or '-') => escaped,
                _ => throw Error("unknown escape", _at - 2),
            };
        }

        if (Rune.DecodeFromUtf16(_text.AsSpan(_at), out var rune, out var length) != System.Buffers.OperationStatus.Done)
            throw Error("half a character");
        _at += length;
        return rune.Value;
    }

    private int ReadHex(int digits)
    {
        if (_at + digits > _text.Length || !uint.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw Error($"expected {digits} hexadecimal digits");
        if (value > 0x10FFFF)
            throw Error("there is no such code point");
        _at += digits;
        return (int)value;
    }

    private int ReadNumber()
    {
        var start = _at;
        while (char.IsAsciiDigit(Current))
            _at++;
        if (start == _at)
            throw Error("expected a number");
        return int.TryParse(_text.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : int.MaxValue;
    }

    private string ReadName()
    {
        var start = _at;
        while (IsNameCharacter(Current))
            _at++;
        return _at > start ? _text[start.._at] : throw Error("expected a rule's name");
    }

    private int Number(string name, int firstUse)
    {
        if (_names.TryGetValue(name, out var number))
            return number;

        number = NewRule();
        _names.Add(name, number);
        _rulesByNumber[number] = (name, firstUse);
        return number;
    }

    private int NewRule()
    {
        if (_rules.Count >= MaxRules)
            throw Error($"more than {MaxRules} rules, repetitions and groups included");
        _rules.Add(null);
        _rulesByNumber.Add((_rule, _at));
        return _rules.Count - 1;
    }

    private void AddSet(List<GbnfElement> rule, CharacterSet set)
    {
        Add(rule, GbnfKind.Set, _sets.Count);
        _sets.Add(set);
    }

    private void AddRange(List<GbnfElement> rule, List<GbnfElement> elements)
    {
        foreach (var element in elements)
            Add(rule, element.Kind, element.Value);
    }

    private void Add(List<GbnfElement> rule, GbnfKind kind, int value)
    {
        if (++_elements > MaxElements)
            throw Error($"grows to more than {MaxElements} elements, repetitions included");
        rule.Add(new GbnfElement(kind, value));
    }

    private void SkipSpace(bool newlines)
    {
        while (Current is ' ' or '\t' or '#' || (newlines && Current is '\r' or '\n'))
        {
            if (Current == '#')
                _at = _text.IndexOfAny(['\r', '\n'], _at) is var end and >= 0 ? end : _text.Length;
            else
                _at++;
        }
    }

    private static bool IsNameCharacter(char character) => char.IsAsciiLetterOrDigit(character) || character == '-';

    private EngineException Error(string problem, int? at = null)
    {
        var before = _text.AsSpan(0, Math.Min(at ?? _at, _text.Length));
        var line = before.Count('\n') + 1;
        var column = before.Length - (before.LastIndexOf('\n') + 1) + 1;
        var rule = _rule.Length is > 0 and <= 80 ? $", in rule {_rule}" : "";
        return new EngineException(EngineError.InvalidRequest, $"The grammar is not valid at line {line}, column {column}{rule}: {problem}.");
    }
}
