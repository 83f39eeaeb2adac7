namespace Fleet.Inference.Engine.Constraints;

internal enum GbnfKind : byte
{
    /// <summary>The rule ends.</summary>
    End,

    /// <summary>An alternative ends and the next begins.</summary>
    Or,

    /// <summary>Another rule; the value is its number.</summary>
    Rule,

    /// <summary>A repetition's own rule once more. Never left recursion: nothing follows it.</summary>
    Again,

    /// <summary>One code point.</summary>
    Character,

    /// <summary>One of a set of code points; the value is its index.</summary>
    Set,

    /// <summary>One whole token, by id.</summary>
    Token,

    /// <summary>Any token but this one.</summary>
    OtherToken,
}

internal readonly record struct GbnfElement(GbnfKind Kind, int Value)
{
    public bool EndsAlternative => Kind is GbnfKind.End or GbnfKind.Or;
}

/// <summary>Code points in ranges, or all others.</summary>
internal sealed class CharacterSet(IReadOnlyList<(int First, int Last)> ranges, bool negated)
{
    private const int LastCodePoint = 0x10FFFF;

    private readonly (int First, int Last)[] _ranges = Normalize(ranges, negated);

    /// <summary>Ascending, apart from each other.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges => _ranges;

    public bool Contains(int codePoint) => Intersects(codePoint, codePoint);

    /// <summary>Whether any code point of a range belongs to the set.</summary>
    public bool Intersects(int first, int last)
    {
        foreach (var range in _ranges)
        {
            if (range.First <= last && first <= range.Last)
                return true;
        }

        return false;
    }

    private static (int First, int Last)[] Normalize(IReadOnlyList<(int First, int Last)> ranges, bool negated)
    {
        var merged = new List<(int First, int Last)>();
        foreach (var (first, last) in ranges.Where(range => range.First <= range.Last).Order())
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
                merged[^1] = (merged[^1].First, Math.Max(last, merged[^1].Last));
            else
                merged.Add((first, last));
        }

        if (!negated)
            return [.. merged];

        var others = new List<(int, int)>();
        var next = 0;
        foreach (var (first, last) in merged)
        {
            if (next < first)
                others.Add((next, first - 1));
            next = last + 1;
        }

        if (next <= LastCodePoint)
            others.Add((next, LastCodePoint));
        return [.. others];
    }
}

/// <summary>
/// A checked grammar in one flat list: a rule is its alternatives' elements one after the other. Immutable. Left recursion has been refused,
/// so that expanding a rule always comes to an end.
/// </summary>
internal sealed class GbnfGrammar
{
    private readonly GbnfElement[] _elements;
    private readonly int[][] _alternatives;
    private readonly CharacterSet[] _sets;

    // Where, beyond ASCII, a set or character of the grammar begins or has ended; ascending.
    private readonly int[] _borders;

    /// <param name="rules">Each ends with <see cref="GbnfKind.End"/>.</param>
    /// <param name="sets">What <see cref="GbnfKind.Set"/> refers to.</param>
    /// <param name="root">The rule every text must match.</param>
    public GbnfGrammar(IReadOnlyList<IReadOnlyList<GbnfElement>> rules, IReadOnlyList<CharacterSet> sets, int root)
    {
        _elements = [.. rules.SelectMany(rule => rule)];
        _alternatives = new int[rules.Count][];
        _sets = [.. sets];
        _borders = [.. sets.SelectMany(set => set.Ranges)
            .Concat(_elements.Where(element => element.Kind == GbnfKind.Character).Select(element => (element.Value, element.Value)))
            .SelectMany<(int First, int Last), int>(range => [range.First, range.Last + 1]).Where(border => border > 128).Distinct().Order()];
        Root = root;
        var start = 0;
        for (var rule = 0; rule < rules.Count; rule++)
        {
            var starts = new List<int> { start };
            for (var i = 0; i < rules[rule].Count; i++)
            {
                if (rules[rule][i].Kind == GbnfKind.Or)
                    starts.Add(start + i + 1);
            }

            _alternatives[rule] = [.. starts];
            start += rules[rule].Count;
        }
    }

    public int Root { get; }

    public int RuleCount => _alternatives.Length;

    public GbnfElement this[int position] => _elements[position];

    /// <summary>Characters of one kind are all the same to this grammar: each of ASCII is its own kind, beyond it there are few.</summary>
    public int KindOf(int codePoint)
    {
        if (codePoint < 128)
            return codePoint;

        var at = Array.BinarySearch(_borders, codePoint);
        return 128 + (at >= 0 ? at + 1 : ~at);
    }

    /// <summary>Where each alternative of a rule begins.</summary>
    public ReadOnlySpan<int> Alternatives(int rule) => _alternatives[rule];

    public CharacterSet Set(int index) => _sets[index];

    /// <summary>A rule that can begin with itself; null when there is none.</summary>
    public int? FindLeftRecursion()
    {
        var mayBeEmpty = RulesThatMayBeEmpty();
        var state = new byte[RuleCount];
        var path = new Stack<(int Rule, List<int> First, int Next)>();
        for (var rule = 0; rule < RuleCount; rule++)
        {
            if (state[rule] != 0)
                continue;

            // Depth-first without recursion: a chain of rules may be thousands long.
            state[rule] = 1;
            path.Push((rule, RulesAtTheStart(rule, mayBeEmpty), 0));
            while (path.TryPop(out var top))
            {
                if (top.Next == top.First.Count)
                {
                    state[top.Rule] = 2;
                    continue;
                }

                path.Push(top with { Next = top.Next + 1 });
                var next = top.First[top.Next];
                if (state[next] == 1)
                    return next;
                if (state[next] == 0)
                {
                    state[next] = 1;
                    path.Push((next, RulesAtTheStart(next, mayBeEmpty), 0));
                }
            }
        }

        return null;
    }

    private List<int> RulesAtTheStart(int rule, bool[] mayBeEmpty)
    {
        var first = new List<int>();
        foreach (var alternative in _alternatives[rule])
        {
            for (var position = alternative; _elements[position].Kind is GbnfKind.Rule or GbnfKind.Again; position++)
            {
                if (_elements[position].Kind == GbnfKind.Again)
                    break;
                first.Add(_elements[position].Value);
                if (!mayBeEmpty[_elements[position].Value])
                    break;
            }
        }

        return first;
    }

    private bool[] RulesThatMayBeEmpty()
    {
        // Each rule is looked at again only when one it refers to turned out to be empty: linear in the grammar.
        var users = new List<int>[RuleCount];
        for (var rule = 0; rule < RuleCount; rule++)
        {
            for (var position = _alternatives[rule][0]; _elements[position].Kind != GbnfKind.End; position++)
            {
                if (_elements[position].Kind is GbnfKind.Rule or GbnfKind.Again)
                    (users[_elements[position].Value] ??= []).Add(rule);
            }
        }

        var empty = new bool[RuleCount];
        var todo = new Stack<int>(Enumerable.Range(0, RuleCount));
        while (todo.TryPop(out var rule))
        {
            if (empty[rule] || !HasEmptyAlternative(rule, empty))
                continue;

            empty[rule] = true;
            foreach (var user in users[rule] ?? [])
                todo.Push(user);
        }

        return empty;
    }

    private bool HasEmptyAlternative(int rule, bool[] empty)
    {
        foreach (var alternative in _alternatives[rule])
        {
            var position = alternative;
            while (_elements[position].Kind is GbnfKind.Rule or GbnfKind.Again && empty[_elements[position].Value])
                position++;
            if (_elements[position].EndsAlternative)
                return true;
        }

        return false;
    }
}
