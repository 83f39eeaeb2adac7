using System.Globalization;
using System.Text.RegularExpressions;
using Fleet.Chat.Sessions;

namespace Fleet.Chat.Runs;

/// <summary>Finds the passages that a growing text cites as [1] or [1, 3], each once, in the order of first mention.</summary>
internal sealed partial class CitationReader(IReadOnlyList<Citation> passages)
{
    /// <summary>A mark is never longer than this: what lies further back has been read.</summary>
    private const int LongestMark = 32;

    private readonly Dictionary<int, Citation> _passages = passages.ToDictionary(passage => passage.Number);
    private readonly List<Citation> _cited = [];
    private string _tail = "";

    public IReadOnlyList<Citation> Cited => _cited;

    /// <summary>The passages cited for the first time by this piece of text.</summary>
    public IReadOnlyList<Citation> Read(string delta)
    {
        if (_passages.Count == 0 || delta.Length == 0) return [];

        var text = _tail + delta;
        var first = _cited.Count;
        foreach (Match mark in Mark().Matches(text))
        {
            foreach (var number in mark.Groups["numbers"].Value.Split(',', StringSplitOptions.TrimEntries))
            {
                if (_passages.Remove(int.Parse(number, CultureInfo.InvariantCulture), out var passage)) _cited.Add(passage);
            }
        }

        _tail = text.Length <= LongestMark ? text : text[^LongestMark..];
        return _cited.Count == first ? [] : _cited[first..];
    }

    [GeneratedRegex(@"\[(?<numbers>\d{1,3}(?:\s*,\s*\d{1,3}){0,4})\]", RegexOptions.CultureInvariant)]
    private static partial Regex Mark();
}
