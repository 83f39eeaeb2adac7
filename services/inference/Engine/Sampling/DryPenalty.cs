using System.Runtime.InteropServices;
using System.Text;
using Fleet.Inference.Models;

namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// DRY ("don't repeat yourself", p-e-w in oobabooga/text-generation-webui #5677; behaviour of llama.cpp): a token that would continue a
/// repetition of the text's end costs multiplier * base^(length - allowed). Unlike llama.cpp, breakers are found in the text and not in
/// token sequences, so they work however the model happens to spell them and need no table per request.
/// </summary>
internal sealed class DryPenalty
{
    // Beyond this the power is infinite in single precision: ln(float.MaxValue).
    private const float LargestLogarithm = 88.7228391f;

    private readonly DryParameters _parameters;
    private readonly IVocabulary _vocabulary;
    private readonly byte[][] _breakers;
    private readonly int _longestBreaker;
    private readonly List<int> _history = [];
    private readonly List<byte> _tail = [];
    private readonly Dictionary<int, int> _repeats = [];
    private int[] _lengths = [];
    private int _sinceBreaker;
    private bool _current;

    private DryPenalty(DryParameters parameters, IVocabulary vocabulary)
    {
        (_parameters, _vocabulary) = (parameters, vocabulary);
        _breakers = [.. parameters.Breakers.Where(text => text.Length > 0).Select(Encoding.UTF8.GetBytes)];
        _longestBreaker = _breakers.Length > 0 ? _breakers.Max(bytes => bytes.Length) : 0;
    }

    /// <summary>Null when the parameters ask for nothing.</summary>
    public static DryPenalty? Create(DryParameters? parameters, IVocabulary vocabulary, ReadOnlySpan<int> prompt)
    {
        if (parameters is null or { Multiplier: 0 } or { Base: < 1 } or { LastN: 0 })
            return null;

        var dry = new DryPenalty(parameters, vocabulary);
        foreach (var token in prompt)
            dry.Accept(token);
        return dry;
    }

    /// <summary>The penalised tokens.</summary>
    public IReadOnlyCollection<int> Tokens
    {
        get
        {
            FindRepeats();
            return _repeats.Keys;
        }
    }

    public void Accept(int token)
    {
        _current = false;
        _history.Add(token);
        if (_parameters.LastN > 0 && _history.Count >= 2 * _parameters.LastN)
            _history.RemoveRange(0, _history.Count - _parameters.LastN);

        _sinceBreaker++;
        if (_breakers.Length == 0)
            return;

        var bytes = _vocabulary.Bytes(token).Span;
        _tail.AddRange(bytes);
        if (EndsABreaker(CollectionsMarshal.AsSpan(_tail), bytes.Length))
            _sinceBreaker = 0;
        if (_tail.Count > _longestBreaker)
            _tail.RemoveRange(0, _tail.Count - _longestBreaker);
    }

    public float Adjust(int token, float score)
    {
        FindRepeats();
        if (!_repeats.TryGetValue(token, out var length))
            return score;

        var exponent = length - _parameters.AllowedLength;
        if (_parameters.Base > 1.000001f)
            exponent = Math.Min(exponent, (int)(LargestLogarithm / MathF.Log(_parameters.Base)));
        return score - _parameters.Multiplier * MathF.Pow(_parameters.Base, exponent);
    }

    private bool EndsABreaker(ReadOnlySpan<byte> text, int added)
    {
        foreach (var breaker in _breakers)
        {
            // Only occurrences that end within what was added are new.
            if (text[Math.Max(0, text.Length - added - breaker.Length + 1)..].IndexOf(breaker) >= 0)
                return true;
        }

        return false;
    }

    // Z-algorithm from the end backwards: how much of the text's end also stands before each earlier token; linear in the window.
    private void FindRepeats()
    {
        if (_current)
            return;

        _current = true;
        _repeats.Clear();
        var history = CollectionsMarshal.AsSpan(_history);
        if (_parameters.LastN > 0 && history.Length > _parameters.LastN)
            history = history[^_parameters.LastN..];

        var count = history.Length;
        var limit = Math.Min(count, _sinceBreaker);
        if (count <= _parameters.AllowedLength || limit < _parameters.AllowedLength)
            return;
        if (_lengths.Length < count)
            _lengths = new int[count * 2];

        var (left, right) = (0, 0);
        for (var at = 1; at < count; at++)
        {
            var length = at <= right ? Math.Min(_lengths[at - left], right - at + 1) : 0;
            while (at + length < count && history[count - 1 - length] == history[count - 1 - at - length])
                length++;
            _lengths[at] = length;
            if (at + length - 1 > right)
                (left, right) = (at, at + length - 1);

            var repeated = Math.Min(length, limit);
            if (repeated < _parameters.AllowedLength)
                continue;

            var next = history[count - at];
            if (_repeats.GetValueOrDefault(next, -1) < repeated && !IsBreaker(next))
                _repeats[next] = repeated;
        }
    }

    private bool IsBreaker(int token)
    {
        var bytes = _vocabulary.Bytes(token).Span;
        foreach (var breaker in _breakers)
        {
            if (bytes.IndexOf(breaker) >= 0)
                return true;
        }

        return false;
    }
}
