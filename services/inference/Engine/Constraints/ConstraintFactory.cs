using System.Text;
using Fleet.Inference.Models;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Compiles grammars for one model's vocabulary and keeps the last ones: a schema that many requests share is parsed once and its masks are
/// computed once. Thread-safe; meant to be called at admission, so that the decode thread never parses.
/// </summary>
internal sealed class ConstraintFactory
{
    private const int MostGrammars = 64;

    private readonly Lock _lock = new();
    private readonly Lazy<GrammarVocabulary> _vocabulary;
    private readonly Dictionary<string, LinkedListNode<(string Gbnf, CompiledGrammar Grammar)>> _known = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Gbnf, CompiledGrammar Grammar)> _recent = [];

    public ConstraintFactory(IVocabulary vocabulary) => _vocabulary = new Lazy<GrammarVocabulary>(() => new GrammarVocabulary(vocabulary));

    /// <summary>Throws <see cref="EngineException"/> when the grammar is not valid, or does not begin with the prefix.</summary>
    public ITokenConstraint Create(GrammarSpec spec)
    {
        var grammar = Compile(spec.Gbnf);
        if (spec.Lazy)
            return new GrammarConstraint(grammar, _vocabulary.Value, grammar.Start, new GrammarTrigger(spec));

        var start = spec.Prefix.Length == 0 ? grammar.Start : grammar.After(grammar.Start, Encoding.UTF8.GetBytes(spec.Prefix));
        return new GrammarConstraint(
            grammar,
            _vocabulary.Value,
            start ?? throw new EngineException(EngineError.InvalidRequest, "The grammar does not begin with what the model's template has already written."),
            trigger: null);
    }

    private CompiledGrammar Compile(string gbnf)
    {
        lock (_lock)
        {
            if (_known.TryGetValue(gbnf, out var node))
            {
                _recent.Remove(node);
                _recent.AddFirst(node);
                return node.Value.Grammar;
            }
        }

        var vocabulary = _vocabulary.Value;
        var grammar = new CompiledGrammar(GbnfParser.Parse(gbnf, vocabulary.Size, vocabulary.Find), vocabulary);
        lock (_lock)
        {
            if (_known.TryGetValue(gbnf, out var other))
                return other.Value.Grammar;

            _known.Add(gbnf, _recent.AddFirst((gbnf, grammar)));
            if (_recent.Count > MostGrammars)
            {
                _known.Remove(_recent.Last!.Value.Gbnf);
                _recent.RemoveLast();
            }

            return grammar;
        }
    }
}
