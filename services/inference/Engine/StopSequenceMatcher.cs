using System.Text;

namespace Fleet.Inference.Engine;

/// <summary>
/// Finds stop sequences in text that arrives in pieces, however it is cut. Of several sequences in the text the one that starts first wins, of
/// those that start at the same place the shortest. Text that could still become one is held back until it is decided. Each character is
/// looked at once, whatever the sequences (Aho and Corasick 1975). One reply's.
/// </summary>
internal sealed class StopSequenceMatcher
{
    private const int Root = 0;

    private readonly List<Node> _nodes = [new Node()];
    private readonly StringBuilder _held = new();

    // Places in the text are counted from its beginning; the held text begins at _released.
    private long _released;
    private long _position;
    private int _node = Root;
    private string? _found;
    private long _foundAt;

    public StopSequenceMatcher(IReadOnlyList<string> sequences)
    {
        foreach (var sequence in sequences)
            Add(sequence);
        LinkFallbacks();
    }

    public bool Matched { get; private set; }

    /// <summary>The sequence that matched; empty before.</summary>
    public string Sequence => Matched ? _found! : "";

    /// <summary>Takes the next piece and returns what is certain to be part of the reply.</summary>
    public string Append(string piece)
    {
        if (Matched)
            return "";
        if (_nodes.Count == 1)
            return piece;

        _held.Append(piece);
        foreach (var character in piece)
        {
            _position++;
            _node = Next(_node, character);
            if (_nodes[_node].Longest is { } sequence && (_found is null || _position - sequence.Length < _foundAt))
                (_found, _foundAt) = (sequence, _position - sequence.Length);

            // Nothing that began earlier can still become a sequence.
            if (_found is not null && _position - _nodes[_node].Depth >= _foundAt)
                return Match();
        }

        var certain = _position - _nodes[_node].Depth;
        return Release(_found is null ? certain : Math.Min(certain, _foundAt));
    }

    /// <summary>
    /// The reply ended otherwise: what was held back belongs to it, up to a sequence that had been found but was waiting for an earlier one.
    /// </summary>
    public string Flush()
    {
        if (Matched)
            return "";

        return _found is not null ? Match() : Release(_position);
    }

    private string Match()
    {
        Matched = true;
        var text = Release(_foundAt);
        _held.Clear();
        return text;
    }

    private string Release(long end)
    {
        var length = (int)(end - _released);
        var text = _held.ToString(0, length);
        _held.Remove(0, length);
        _released = end;
        return text;
    }

    private int Next(int node, char character)
    {
        int next;
        while (!_nodes[node].Children.TryGetValue(character, out next))
        {
            if (node == Root)
                return Root;
            node = _nodes[node].Fallback;
        }

        return next;
    }

    private void Add(string sequence)
    {
        var node = Root;
        foreach (var character in sequence)
        {
            if (!_nodes[node].Children.TryGetValue(character, out var child))
            {
                child = _nodes.Count;
                _nodes[node].Children.Add(character, child);
                _nodes.Add(new Node { Depth = _nodes[node].Depth + 1 });
            }

            node = child;
        }

        if (node != Root)
            _nodes[node].Longest = sequence;
    }

    // Breadth first: a fallback is shorter than its node, so it is ready before.
    private void LinkFallbacks()
    {
        var queue = new Queue<int>([Root]);
        while (queue.TryDequeue(out var node))
        {
            foreach (var (character, child) in _nodes[node].Children)
            {
                _nodes[child].Fallback = node == Root ? Root : Next(_nodes[node].Fallback, character);
                _nodes[child].Longest ??= _nodes[_nodes[child].Fallback].Longest;
                queue.Enqueue(child);
            }
        }
    }

    private sealed class Node
    {
        public Dictionary<char, int> Children { get; } = [];

        /// <summary>The longest beginning of a sequence with which this node's text ends.</summary>
        public int Fallback { get; set; }

        public int Depth { get; init; }

        /// <summary>The longest sequence with which this node's text ends.</summary>
        public string? Longest { get; set; }
    }
}
