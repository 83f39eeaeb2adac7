using Fleet.Inference.Models;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine.Persistence;

/// <summary>
/// What finished requests computed, outside the KV cache. In a unified cache attention walks over every cell in use, whoever's it is: a few
/// thousand idle ones cost a running reply a tenth of its speed. So only a little stays there; the rest waits in ordinary memory, and comes
/// back in milliseconds (a copy) when a request begins with it. Least recently used first out. Decode thread only.
/// </summary>
/// <param name="idleCells">Cells that prefixes nobody is using may keep in the cache.</param>
/// <param name="maxBytes">Memory the parked states may take.</param>
internal sealed class ParkedPrefixes(IModelRunner runner, int idleCells, long maxBytes)
{
    // Fewer tokens are computed as fast as they are copied.
    private const int WorthParking = 32;

    private readonly LinkedList<Parked> _parked = new();

    /// <summary>Bytes of the states.</summary>
    public long Bytes { get; private set; }

    public int Count => _parked.Count;

    /// <summary>Moves one idle prefix out, the least recently used, when too many cells are idle. False: nothing to do.</summary>
    public bool ParkOne(PrefixCache cache)
    {
        if (!runner.Unified || cache.CachedCells <= idleCells || cache.LeastRecentlyUsed() is not { } idle)
            return false;

        if (idle.Tokens.Count >= WorthParking && maxBytes > 0)
            Add(new Parked(idle.Key, [.. idle.Tokens], runner.SaveState(idle.Id)));
        cache.Forget(idle.Id);
        return true;
    }

    /// <summary>Brings back what begins like these tokens, when it is worth more than what the cache has of them.</summary>
    public void Fetch(PrefixCache cache, PrefixKey key, ReadOnlySpan<int> tokens)
    {
        if (!runner.Unified || _parked.Count == 0)
            return;

        LinkedListNode<Parked>? best = null;
        var common = cache.Match(key, tokens, tokens.Length - 1).Length + WorthParking - 1;
        for (var node = _parked.First; node is not null; node = node.Next)
        {
            if (node.Value.Key != key)
                continue;
            var alike = node.Value.Tokens.AsSpan().CommonPrefixLength(tokens);
            if (alike > common)
                (best, common) = (node, alike);
        }

        if (best is { Value: { } parked })
            Restore(cache, best, parked, common);
    }

    public void Clear()
    {
        _parked.Clear();
        Bytes = 0;
    }

    private void Restore(PrefixCache cache, LinkedListNode<Parked> node, Parked parked, int common)
    {
        var missing = parked.Tokens.Length - cache.FreeCells;
        if ((missing > 0 && !cache.Evict(missing)) || cache.Borrow() is not (>= 0 and var id))
            return;

        if (!runner.LoadState(id, parked.State, parked.Tokens.Length))
        {
            cache.GiveBack(id);
            Remove(node);
            return;
        }

        if (common == parked.Tokens.Length)
        {
            // It goes on from here, and is parked again with what is added.
            Remove(node);
        }
        else
        {
            // A beginning that several have: the hotter it gets the sooner it is saved for the next start.
            runner.Truncate(id, common);
            parked.Hits++;
            _parked.Remove(node);
            _parked.AddFirst(node);
        }

        cache.Restore(id, parked.Key, parked.Tokens.AsSpan(0, common), parked.Hits);
    }

    private void Add(Parked parked)
    {
        _parked.AddFirst(parked);
        Bytes += parked.State.Length;
        while (Bytes > maxBytes && _parked.Last is { } oldest)
            Remove(oldest);
    }

    private void Remove(LinkedListNode<Parked> node)
    {
        _parked.Remove(node);
        Bytes -= node.Value.State.Length;
    }

    private sealed record Parked(PrefixKey Key, int[] Tokens, byte[] State)
    {
        /// <summary>Requests that began like it and then went another way.</summary>
        public int Hits { get; set; }
    }
}
