namespace Fleet.Inference.Engine.Constraints;

/// <summary>How far a text has come: the grammar's state and the bytes of a character that is not complete yet.</summary>
/// <param name="Missing">Bytes still missing of the last character.</param>
/// <param name="Partial">Its bits so far.</param>
internal readonly record struct GrammarPosition(GrammarState State, int Missing = 0, int Partial = 0);

/// <summary>
/// A grammar for one vocabulary, shared by all replies that use it, with everything learned so far. Thread-safe; one question at a time.
/// </summary>
internal sealed class CompiledGrammar(GbnfGrammar grammar, GrammarVocabulary vocabulary)
{
    // Masks of 150,000 tokens take 19 KB each.
    private const int MostMasks = 256;

    private readonly Lock _lock = new();
    private readonly GrammarAutomaton _automaton = new(grammar);
    private readonly GrammarPosition[] _walk = new GrammarPosition[vocabulary.Longest + 1];
    private readonly Queue<GrammarState> _masked = new();

    public GrammarPosition Start => new(_automaton.Start);

    /// <summary>Where the text stands after a token; null when the token is not allowed.</summary>
    public GrammarPosition? After(GrammarPosition position, int token)
    {
        if (vocabulary.IsEnd(token))
            return position is { State.Complete: true, Missing: 0 } ? position : null;

        lock (_lock)
        {
            _automaton.BeginQuestion();
            var byText = Walk(position, vocabulary.Spelling(token), vocabulary.IsControl(token));
            if (position.Missing > 0 || byText is { Missing: > 0 } || !_automaton.NamesTokens(position.State))
                return byText;

            var state = _automaton.Either(_automaton.NextToken(position.State, token, vocabulary.IsControl(token)), byText?.State ?? GrammarAutomaton.Dead);
            return state == GrammarAutomaton.Dead ? null : new GrammarPosition(state);
        }
    }

    /// <summary>Where the text stands after more text; null when that is not allowed.</summary>
    public GrammarPosition? After(GrammarPosition position, ReadOnlySpan<byte> text)
    {
        lock (_lock)
        {
            _automaton.BeginQuestion();
            foreach (var value in text)
            {
                position = Step(position, value, literally: false);
                if (position.State == GrammarAutomaton.Dead)
                    return null;
            }

            return CanGoOn(position) ? position : null;
        }
    }

    /// <summary>Sets the score of every token that may not come next to negative infinity.</summary>
    public void Mask(GrammarPosition position, Span<float> scores)
    {
        ulong[] mask;
        lock (_lock)
        {
            _automaton.BeginQuestion();
            mask = MaskOf(position);
        }

        for (var first = 0; first < scores.Length; first += 64)
        {
            var allowed = first / 64 < mask.Length ? mask[first / 64] : 0;
            var block = scores.Slice(first, Math.Min(64, scores.Length - first));
            if (allowed == 0)
            {
                block.Fill(float.NegativeInfinity);
                continue;
            }

            if (allowed == ulong.MaxValue)
                continue;

            for (var i = 0; i < block.Length; i++)
            {
                if ((allowed >> i & 1) == 0)
                    block[i] = float.NegativeInfinity;
            }
        }
    }

    private ulong[] MaskOf(GrammarPosition position)
    {
        if (position.Missing == 0 && position.State.Mask is { } known)
            return known;

        var mask = new ulong[(vocabulary.Size + 63) / 64];
        MarkTexts(position, mask);
        if (position.Missing > 0)
            return mask;

        if (position.State.Complete)
        {
            foreach (var token in vocabulary.Ends)
                Mark(mask, token);
        }

        if (_automaton.NamesTokens(position.State))
        {
            for (var token = 0; token < vocabulary.Size; token++)
            {
                if (!vocabulary.IsEnd(token) && _automaton.NextToken(position.State, token, vocabulary.IsControl(token)) != GrammarAutomaton.Dead)
                    Mark(mask, token);
            }
        }

        position.State.Mask = mask;
        _masked.Enqueue(position.State);
        if (_masked.Count > MostMasks)
            _masked.Dequeue().Mask = null;
        return mask;
    }

    // Through the vocabulary in the order of its bytes: what a token shares with the one before it is not walked again.
    private void MarkTexts(GrammarPosition position, ulong[] mask)
    {
        _walk[0] = position;
        var (valid, refused) = (0, false);
        for (var i = 0; i < vocabulary.Order.Length; i++)
        {
            // The first bytes of this token have been walked, and perhaps the next one is known to be refused.
            if (vocabulary.Shared[i] <= valid)
                (valid, refused) = (vocabulary.Shared[i], false);

            var token = vocabulary.Order[i];
            var spelling = vocabulary.Spelling(token);
            if (vocabulary.IsControl(token))
            {
                if (Walk(position, spelling, literally: true) is not null)
                    Mark(mask, token);
                continue;
            }

            while (!refused && valid < spelling.Length)
            {
                var next = Step(_walk[valid], spelling[valid], literally: false);
                refused = next.State == GrammarAutomaton.Dead;
                if (!refused)
                    _walk[++valid] = next;
            }

            if (!refused && CanGoOn(_walk[valid]))
                Mark(mask, token);
        }
    }

    private GrammarPosition? Walk(GrammarPosition position, ReadOnlySpan<byte> text, bool literally)
    {
        if (text.IsEmpty)
            return null;

        foreach (var value in text)
        {
            position = Step(position, value, literally);
            if (position.State == GrammarAutomaton.Dead)
                return null;
        }

        return CanGoOn(position) ? position : null;
    }

    private GrammarPosition Step(GrammarPosition position, byte value, bool literally)
    {
        var (state, missing, partial) = position;
        if (missing > 0)
        {
            if ((value & 0xC0) != 0x80 || !MayFollow(partial, missing, value))
                return new GrammarPosition(GrammarAutomaton.Dead);

            partial = partial << 6 | value & 0x3F;
            if (--missing > 0)
                return new GrammarPosition(state, missing, partial);
        }
        else if (value is > 0 and < 0x80)
        {
            partial = value;
        }
        else
        {
            // RFC 3629: C0, C1 and F5 to FF begin nothing. A zero byte is no text: databases refuse it, and so does llama.cpp here.
            return value switch
            {
                >= 0xC2 and <= 0xDF => new GrammarPosition(state, 1, value & 0x1F),
                >= 0xE0 and <= 0xEF => new GrammarPosition(state, 2, value & 0x0F),
                >= 0xF0 and <= 0xF4 => new GrammarPosition(state, 3, value & 0x07),
                _ => new GrammarPosition(GrammarAutomaton.Dead),
            };
        }

        return new GrammarPosition(literally ? _automaton.NextLiterally(state, partial) : _automaton.Next(state, partial));
    }

    /// <summary>Whether an incomplete character can still become one that is allowed.</summary>
    private bool CanGoOn(GrammarPosition position)
    {
        if (position.Missing == 0)
            return true;

        var first = position.Partial << (6 * position.Missing);
        var last = first | ((1 << (6 * position.Missing)) - 1);
        first = position switch
        {
            { Missing: 2, Partial: 0 } => 0x800,
            { Missing: 3, Partial: 0 } => 0x10000,
            _ => first,
        };
        last = position is { Missing: 2, Partial: 0x0D } ? 0xD7FF : Math.Min(last, 0x10FFFF);
        return _automaton.AllowsSome(position.State, first, last);
    }

    // RFC 3629: no longer form than needed (E0, F0), no halves of UTF-16 pairs (ED), nothing past the last code point (F4).
    private static bool MayFollow(int partial, int missing, byte value) => (missing, partial) switch
    {
        (2, 0x00) => value >= 0xA0,
        (2, 0x0D) => value < 0xA0,
        (3, 0x00) => value >= 0x90,
        (3, 0x04) => value < 0x90,
        _ => true,
    };

    private static void Mark(ulong[] mask, int token) => mask[token >> 6] |= 1UL << (token & 63);
}
