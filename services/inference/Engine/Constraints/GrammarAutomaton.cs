using System.Runtime.InteropServices;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Where a text stands in a grammar: the set of all ways to go on. Equal sets are one object, so that what is learned about a state (its
/// successors, its mask) is learned once for all replies. Immutable but for those caches, which the automaton's lock guards.
/// </summary>
internal sealed class GrammarState
{
    private GrammarState?[]? _ascii;
    private Dictionary<int, GrammarState>? _others;

    public GrammarState(GrammarStack?[] stacks)
    {
        Stacks = stacks;
        Complete = stacks.Contains(null);
    }

    /// <summary>Each ends at a character or token element; null = nothing more is needed.</summary>
    public GrammarStack?[] Stacks { get; }

    /// <summary>Whether the text may end here.</summary>
    public bool Complete { get; }

    /// <summary>One bit per token that may follow; filled in by <see cref="GrammarVocabulary"/>.</summary>
    public ulong[]? Mask { get; set; }

    /// <param name="kind">As <see cref="GbnfGrammar.KindOf"/> numbers characters.</param>
    /// <param name="state">The state after one of them, when that is known.</param>
    public bool TryGetSuccessor(int kind, out GrammarState? state)
    {
        state = null;
        return kind < 128 ? (state = _ascii?[kind]) is not null : _others?.TryGetValue(kind, out state) ?? false;
    }

    public void SetSuccessor(int kind, GrammarState state)
    {
        if (kind < 128)
            (_ascii ??= new GrammarState?[128])[kind] = state;
        else
            (_others ??= [])[kind] = state;
    }
}

/// <summary>A position in the grammar and where to go on after its rule. Equal stacks are one object.</summary>
internal sealed class GrammarStack(int position, GrammarStack? parent, long id)
{
    public int Position { get; } = position;

    public GrammarStack? Parent { get; } = parent;

    public long Id { get; } = id;
}

/// <summary>
/// Runs a grammar over characters, all alternatives side by side, remembering every step it has taken: after a few replies a schema's grammar
/// is walked like a table. Own code because llama.cpp's grammar aborts the process on a refused token, has no bound on ambiguity and needs the
/// whole vocabulary (20 ms) for a mask. Not thread-safe: <see cref="CompiledGrammar"/> locks.
/// </summary>
internal sealed class GrammarAutomaton
{
    // Ways to go on at one place; far beyond any useful grammar, and small enough that a step takes microseconds.
    private const int MostStacks = 20_000;

    // Steps one question may cost (a mask asks for the whole vocabulary at once): some hundred milliseconds at the very worst.
    private const int MostSteps = 5_000_000;

    // Remembered objects before everything is forgotten and learned anew.
    private const int MostRemembered = 100_000;

    private readonly GbnfGrammar _grammar;
    private readonly Dictionary<(int Position, GrammarStack? Parent), GrammarStack> _stacks = [];
    private readonly Dictionary<long[], GrammarState> _states = new(new IdComparer());
    private readonly Stack<GrammarStack?> _todo = [];
    private readonly HashSet<GrammarStack> _seen = [];
    private readonly List<GrammarStack?> _reached = [];
    private long _lastId;
    private int _steps;

    public GrammarAutomaton(GbnfGrammar grammar)
    {
        _grammar = grammar;
        BeginQuestion();
        foreach (var alternative in grammar.Alternatives(grammar.Root))
            _todo.Push(grammar[alternative].EndsAlternative ? null : Stack(alternative, null));
        Start = Settle();
    }

    /// <summary>No text follows this grammar from here.</summary>
    public static GrammarState Dead { get; } = new([]);

    /// <summary>Before the first character.</summary>
    public GrammarState Start { get; }

    /// <summary>Grants the steps for one question; between questions memory is bounded too.</summary>
    public void BeginQuestion()
    {
        _steps = 0;
        if (_stacks.Count + _states.Count <= MostRemembered)
            return;

        _stacks.Clear();
        _states.Clear();
    }

    /// <summary>The state after one more character; <see cref="Dead"/> when it is not allowed.</summary>
    public GrammarState Next(GrammarState state, int codePoint)
    {
        var kind = _grammar.KindOf(codePoint);
        if (state.TryGetSuccessor(kind, out var known))
            return known!;

        var next = Step(state, codePoint, literally: false);
        state.SetSuccessor(kind, next);
        return next;
    }

    /// <summary>Like <see cref="Next"/>, but only where the grammar spells the character out.</summary>
    public GrammarState NextLiterally(GrammarState state, int codePoint) => Step(state, codePoint, literally: true);

    /// <summary>The state after a token the grammar names by its id; <see cref="Dead"/> when it names no such token here.</summary>
    /// <param name="state">Where the text stands.</param>
    /// <param name="token">The token.</param>
    /// <param name="control">"Any token but" does not mean control tokens: they print nothing.</param>
    public GrammarState NextToken(GrammarState state, int token, bool control)
    {
        foreach (var stack in state.Stacks)
        {
            Spend();
            if (stack is not null && MatchesToken(stack, token, control))
                PushAfter(stack);
        }

        return Settle();
    }

    /// <summary>What may follow in one state or the other.</summary>
    public GrammarState Either(GrammarState one, GrammarState other)
    {
        if (one == other || other == Dead)
            return one;
        if (one == Dead)
            return other;

        _reached.Clear();
        _reached.AddRange(one.Stacks.Union(other.Stacks));
        return Remembered();
    }

    /// <summary>Whether the grammar names tokens by id here.</summary>
    public bool NamesTokens(GrammarState state)
    {
        foreach (var stack in state.Stacks)
        {
            if (stack is not null && _grammar[stack.Position].Kind is GbnfKind.Token or GbnfKind.OtherToken)
                return true;
        }

        return false;
    }

    /// <summary>Whether some code point in a range may come next.</summary>
    public bool AllowsSome(GrammarState state, int first, int last)
    {
        foreach (var stack in state.Stacks)
        {
            Spend();
            if (stack is null)
                continue;

            var element = _grammar[stack.Position];
            if (element.Kind == GbnfKind.Character ? first <= element.Value && element.Value <= last
                : element.Kind == GbnfKind.Set && _grammar.Set(element.Value).Intersects(first, last))
                return true;
        }

        return false;
    }

    private GrammarState Step(GrammarState state, int codePoint, bool literally)
    {
        foreach (var stack in state.Stacks)
        {
            Spend();
            if (stack is null)
                continue;

            var element = _grammar[stack.Position];
            if (element.Kind == GbnfKind.Character ? element.Value == codePoint
                : element.Kind == GbnfKind.Set && !literally && _grammar.Set(element.Value).Contains(codePoint))
                PushAfter(stack);
        }

        return Settle();
    }

    private bool MatchesToken(GrammarStack stack, int token, bool control)
    {
        var element = _grammar[stack.Position];
        return element.Kind == GbnfKind.Token ? element.Value == token : element.Kind == GbnfKind.OtherToken && element.Value != token && !control;
    }

    private void PushAfter(GrammarStack stack) => _todo.Push(After(stack));

    // Nothing is kept of a rule that has nothing more to say, so repetition does not grow the stack.
    private GrammarStack? After(GrammarStack stack) =>
        _grammar[stack.Position + 1].EndsAlternative ? stack.Parent : Stack(stack.Position + 1, stack.Parent);

    /// <summary>Expands what is on the to-do list down to characters and tokens.</summary>
    private GrammarState Settle()
    {
        if (_todo.Count == 0)
            return Dead;

        _seen.Clear();
        _reached.Clear();
        var complete = false;
        try
        {
            while (_todo.TryPop(out var stack))
            {
                Spend();
                if (stack is null)
                {
                    complete = true;
                    continue;
                }

                if (!_seen.Add(stack))
                    continue;
                if (_seen.Count > MostStacks)
                    throw TooAmbiguous();

                var element = _grammar[stack.Position];
                if (element.Kind is not (GbnfKind.Rule or GbnfKind.Again))
                {
                    _reached.Add(stack);
                    continue;
                }

                var after = After(stack);
                foreach (var alternative in _grammar.Alternatives(element.Value))
                    _todo.Push(_grammar[alternative].EndsAlternative ? after : Stack(alternative, after));
            }
        }
        finally
        {
            _todo.Clear();
        }

        if (complete)
            _reached.Add(null);
        return Remembered();
    }

    private GrammarState Remembered()
    {
        var stacks = _reached.ToArray();
        Array.Sort(stacks, static (left, right) => (left?.Id ?? -1).CompareTo(right?.Id ?? -1));
        var key = Array.ConvertAll(stacks, static stack => stack?.Id ?? -1);
        ref var state = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out _);
        return state ??= new GrammarState(stacks);
    }

    private GrammarStack Stack(int position, GrammarStack? parent)
    {
        ref var stack = ref CollectionsMarshal.GetValueRefOrAddDefault(_stacks, (position, parent), out _);
        return stack ??= new GrammarStack(position, parent, _lastId++);
    }

    private void Spend()
    {
        if (++_steps > MostSteps)
            throw TooAmbiguous();
    }

    private static EngineException TooAmbiguous() =>
        new(EngineError.InvalidRequest, "The grammar allows too many ways to go on at one place; make its alternatives easier to tell apart.");

    private sealed class IdComparer : IEqualityComparer<long[]>
    {
        public bool Equals(long[]? left, long[]? right) => left.AsSpan().SequenceEqual(right);

        public int GetHashCode(long[] ids)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(ids.AsSpan()));
            return hash.ToHashCode();
        }
    }
}
