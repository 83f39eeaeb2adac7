using Fleet.Inference.Models;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine.Persistence;

/// <summary>
/// Carries prefixes that many requests share from an engine's cache to the store and back. Decode thread only; what it takes of that
/// thread's time is copying one state in memory now and then.
/// </summary>
internal sealed class PrefixKeeper(PrefixStore store, IModelRunner runner, TimeProvider time)
{
    // Three requests began with it, the one that computed it included: a system prompt rather than two turns of a conversation; and worth a file.
    private const int MinHits = 2;
    private const int MinTokens = 64;
    private const int MostKept = 16;

    // Restored prefixes leave most of the cache to requests.
    private const int RestoredPart = 2;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(20);

    private readonly HashSet<string> _saved = [];
    private long _last;
    private bool _ever;

    /// <summary>Saves the hottest prefix that is not saved yet; at most one every while, all of them at the end.</summary>
    public void Save(PrefixCache cache, bool all = false)
    {
        if (!all && _ever && time.GetElapsedTime(_last) < Pause)
            return;

        var hot = cache.HotPrefixes(MinHits, MinTokens, MostKept);
        foreach (var prefix in hot)
        {
            // One that another goes on from comes with it.
            if (hot.Any(other => other != prefix && other.Key == prefix.Key && other.Tokens.Count > prefix.Tokens.Count && other.Tokens.Take(prefix.Tokens.Count).SequenceEqual(prefix.Tokens)))
                continue;

            var name = StoredPrefix.NameOf(runner.StateIdentity, prefix.Key, prefix.Tokens);
            if (_saved.Contains(name) || (store.Touch(name) && _saved.Add(name)))
                continue;
            if (!Save(cache, prefix))
                return;
            _saved.Add(name);
            (_last, _ever) = (time.GetTimestamp(), true);
            if (!all)
                return;
        }
    }

    /// <summary>Puts what was saved into an empty cache, the last used first, until half of it is full.</summary>
    public void Restore(PrefixCache cache)
    {
        foreach (var prefix in store.Load(runner.StateIdentity))
        {
            if (cache.UsedCells + prefix.Tokens.Count > runner.Cells / RestoredPart || prefix.Tokens.Count >= runner.ContextTokens)
                continue;
            if (cache.FreeSequences <= runner.Sequences / RestoredPart)
                return;

            var id = cache.Borrow();
            if (id < 0)
                return;
            if (runner.LoadState(id, prefix.State, prefix.Tokens.Count))
            {
                cache.Restore(id, prefix.Key, [.. prefix.Tokens]);
                _saved.Add(prefix.FileName);
                continue;
            }

            cache.GiveBack(id);
            store.Remove(prefix.FileName);
        }
    }

    private bool Save(PrefixCache cache, HotPrefix prefix)
    {
        // A sequence of its own that ends where the prefix does: what follows in the holder is private to a conversation.
        var id = cache.Borrow(prefix.HolderId, prefix.Tokens.Count);
        if (id < 0)
            return false;
        try
        {
            return store.TrySave(new StoredPrefix(runner.StateIdentity, prefix.Key, prefix.Tokens, runner.SaveState(id)));
        }
        finally
        {
            cache.GiveBack(id);
        }
    }
}
