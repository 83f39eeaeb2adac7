namespace Fleet.Benchmarks.Inference;

/// <summary>Every beginning of every prompt that one tenant has sent, by a hash of its tokens.</summary>
internal sealed class SeenPrefixes
{
    private readonly Dictionary<ulong, int> _senders = [];

    public void Add(IReadOnlyList<int> prompt)
    {
        foreach (var hash in Hashes(prompt))
            _senders[hash] = _senders.GetValueOrDefault(hash) + 1;
    }

    /// <summary>How many of its first tokens were sent before.</summary>
    /// <param name="besides">Was added itself, once, and does not count.</param>
    public int LongestKnown(IReadOnlyList<int> prompt, IReadOnlyList<int>? besides = null)
    {
        var own = besides is null ? 0 : 1;
        var longest = 0;
        foreach (var hash in Hashes(prompt))
        {
            if (_senders.GetValueOrDefault(hash) <= own)
                return longest;
            longest++;
        }

        return longest;
    }

    /// <summary>Of the first token, the first two, and so on (FNV-1a over ids).</summary>
    private static IEnumerable<ulong> Hashes(IReadOnlyList<int> prompt)
    {
        var hash = 14695981039346656037UL;
        foreach (var token in prompt)
        {
            hash = (hash ^ (uint)token) * 1099511628211UL;
            yield return hash;
        }
    }
}
