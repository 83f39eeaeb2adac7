using System.Text;
using Fleet.Inference.Models;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// A vocabulary in the order of its tokens' bytes, so that tokens with the same beginning share the walk through a grammar. Built once per
/// model (about a tenth of a second for 150,000 tokens, some megabytes); read-only and thread-safe.
/// </summary>
internal sealed class GrammarVocabulary
{
    private readonly byte[] _bytes;
    private readonly int[] _offsets;
    private readonly int[] _order;
    private readonly ushort[] _shared;
    private readonly bool[] _control;
    private readonly int[] _ends;
    private readonly Lazy<Dictionary<string, int>> _bySpelling;

    public GrammarVocabulary(IVocabulary vocabulary)
    {
        Size = vocabulary.Size;
        _offsets = new int[Size + 1];
        _control = new bool[Size];
        var bytes = new List<byte>(Size * 8);
        var ends = new List<int>();
        for (var token = 0; token < Size; token++)
        {
            _control[token] = vocabulary.Bytes(token).Span is [] or [0, ..];
            if (vocabulary.IsEndOfGeneration(token))
                ends.Add(token);
            else
                bytes.AddRange(vocabulary.Spelling(token).Span);
            _offsets[token + 1] = bytes.Count;
        }

        _bytes = [.. bytes];
        _ends = [.. ends];
        _order = [.. Enumerable.Range(0, Size).Where(token => _offsets[token] < _offsets[token + 1])];
        Array.Sort(_order, (left, right) => Spelling(left).SequenceCompareTo(Spelling(right)) is var order and not 0 ? order : left.CompareTo(right));
        _shared = new ushort[_order.Length];
        for (var i = 1; i < _order.Length; i++)
            _shared[i] = (ushort)Math.Min(ushort.MaxValue, Spelling(_order[i - 1]).CommonPrefixLength(Spelling(_order[i])));
        Longest = _order.Length > 0 ? _order.Max(token => Spelling(token).Length) : 0;

        _bySpelling = new Lazy<Dictionary<string, int>>(() => _order
            .Where(token => _control[token] || Spelling(token)[0] == (byte)'<')
            .GroupBy(token => Encoding.UTF8.GetString(Spelling(token)))
            .ToDictionary(group => group.Key, group => group.OrderByDescending(token => _control[token]).First(), StringComparer.Ordinal));
    }

    public int Size { get; }

    public int Longest { get; }

    /// <summary>In ascending order of their spelling; tokens without one are not in it.</summary>
    public ReadOnlySpan<int> Order => _order;

    /// <summary>Bytes each token of <see cref="Order"/> shares with the one before it.</summary>
    public ReadOnlySpan<ushort> Shared => _shared;

    public ReadOnlySpan<int> Ends => _ends;

    /// <summary>Empty for tokens that end the generation: they are no text.</summary>
    public ReadOnlySpan<byte> Spelling(int token) => _bytes.AsSpan(_offsets[token], _offsets[token + 1] - _offsets[token]);

    /// <summary>A control token (or a zero byte) prints nothing: only a grammar that spells it out may use it, a set of characters does not reach it.</summary>
    public bool IsControl(int token) => _control[token];

    public bool IsEnd(int token) => Array.BinarySearch(_ends, token) >= 0;

    /// <summary>The token spelt like this, for elements such as &lt;think&gt;.</summary>
    public int? Find(string spelling) => _bySpelling.Value.TryGetValue(spelling, out var token) ? token : null;
}
