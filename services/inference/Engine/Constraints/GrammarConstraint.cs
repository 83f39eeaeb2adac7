namespace Fleet.Inference.Engine.Constraints;

/// <summary>One reply's way through a grammar. Holds no native memory; <see cref="Allows"/> and <see cref="Mask"/> change nothing.</summary>
internal sealed class GrammarConstraint : ITokenConstraint
{
    private readonly CompiledGrammar _grammar;
    private readonly GrammarVocabulary _vocabulary;
    private readonly HashSet<int> _refused = [];
    private GrammarTrigger? _trigger;
    private GrammarPosition _position;

    public GrammarConstraint(CompiledGrammar grammar, GrammarVocabulary vocabulary, GrammarPosition start, GrammarTrigger? trigger) =>
        (_grammar, _vocabulary, _position, _trigger) = (grammar, vocabulary, start, trigger);

    /// <summary>Whether the reply may end here. A lazy grammar that was not triggered holds nothing up.</summary>
    public bool Complete => _trigger is not null || _position is { State.Complete: true, Missing: 0 };

    public bool Allows(int token)
    {
        if (_trigger is null)
            return _grammar.After(_position, token) is not null;
        if (Triggered(token, out var position) && position is null)
        {
            _refused.Add(token);
            return false;
        }

        return true;
    }

    public void Mask(Span<float> scores)
    {
        if (_trigger is null)
        {
            _grammar.Mask(_position, scores);
            return;
        }

        // Before the trigger all is free but what was found to begin the grammar in a way it cannot go on.
        foreach (var token in _refused)
            scores[token] = float.NegativeInfinity;
    }

    public void Accept(int token)
    {
        _refused.Clear();
        if (_trigger is null)
        {
            _position = _grammar.After(_position, token) ?? throw Refused();
            return;
        }

        if (!Triggered(token, out var position))
        {
            _trigger.Accept(_vocabulary.Spelling(token));
            return;
        }

        _position = position ?? throw Refused();
        _trigger = null;
    }

    public void Dispose()
    {
        // Nothing is held; the compiled grammar is shared.
    }

    /// <summary>Whether this token makes the grammar hold, and where it then stands; a null position means that the grammar refuses it.</summary>
    private bool Triggered(int token, out GrammarPosition? position)
    {
        position = null;
        if (_trigger!.Look(token, _vocabulary.Spelling(token)) is not { } triggered)
            return false;

        position = triggered.WholeToken ? _grammar.After(_grammar.Start, token) : _grammar.After(_grammar.Start, triggered.Text);
        return true;
    }

    private static InvalidOperationException Refused() => new("A token that the grammar refuses was accepted.");
}
