namespace Fleet.Inference.Scheduling;

/// <summary>
/// Which tokens the KV cache holds, as radix trees of cell runs, one per tenant and adapter set (Zheng et al., SGLang, 2024: RadixAttention).
/// Knows every native sequence that is not empty: running ones, and idle entries that finished sequences left for later requests until room
/// is needed. All changes to sequences go through here, so the cells it counts are the cells in use. Decode thread only; counts may be
/// read from anywhere. One long file: every change of the trees keeps the same counts, and they are right only together.
/// </summary>
internal sealed class PrefixCache
{
    private readonly IKvCache _kv;
    private readonly bool _sharing;
    private readonly int _minShared;
    private readonly int _trimChunk;
    private readonly PrefixEntry?[] _entries;
    private readonly Stack<int> _free;
    private readonly Dictionary<PrefixKey, PrefixNode> _roots = [];
    private int _nodes;
    private long _tick;

    public PrefixCache(IKvCache kv, bool sharing, int minSharedTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(minSharedTokens, 1);
        (_kv, _sharing, _minShared) = (kv, sharing, minSharedTokens);
        _entries = new PrefixEntry?[kv.Sequences];
        _free = new Stack<int>(Enumerable.Range(0, kv.Sequences).Reverse());

        // Cutting a sequence looks at every cell in llama.cpp, so not for a token at a time.
        _trimChunk = Math.Clamp(kv.Cells / 32, 1, 64);
    }

    /// <summary>Cells in use, each counted once.</summary>
    public int UsedCells { get; private set; }

    /// <summary>Used by more than one running sequence.</summary>
    public int SharedCells { get; private set; }

    /// <summary>Used by no running sequence: what <see cref="Evict"/> can free.</summary>
    public int CachedCells { get; private set; }

    public int FreeCells => _kv.Cells - UsedCells;

    /// <summary>Native sequences kept for later requests.</summary>
    public int IdleEntries { get; private set; }

    public int FreeSequences => _free.Count;

    /// <summary>The longest prefix of the tokens that is in the cache, up to a limit; nothing when it is too short to be worth sharing.</summary>
    public PrefixMatch Match(PrefixKey key, ReadOnlySpan<int> tokens, int limit)
    {
        if (!_sharing || !_roots.TryGetValue(key, out var root))
            return PrefixMatch.None;

        var best = Longest(root, tokens, except: null);
        var length = Math.Min(best.Length, limit);
        if (length < _minShared)
            return PrefixMatch.None;

        // The limit may end above the node that was found.
        var node = best.Node!;
        while (node.Start >= length)
            node = node.Parent!;
        return new PrefixMatch(node, length);
    }

    /// <summary>Cells of the match that <see cref="Evict"/> could free now and no longer once the match is in use.</summary>
    public static int IdleCells(PrefixMatch match)
    {
        var cells = 0;
        for (var node = match.Node; node is { Parent: not null, Running: 0 }; node = node.Parent)
            cells += Math.Min(node.End, match.Length) - node.Start;
        return cells;
    }

    /// <summary>
    /// A native sequence for a running one, holding the match. An idle entry that is wholly part of the match is taken over, otherwise its
    /// cells are shared. There must be a native sequence that no running sequence has.
    /// </summary>
    public int Acquire(PrefixKey key, PrefixMatch match, bool isPrivate)
    {
        var entry = match.Length == 0 ? Empty(TakeId(except: null), key, isPrivate) : Matching(key, match);
        SetRunning(entry, true);
        _tick++;
        for (var node = entry.Tip; node.Parent is not null; node = node.Parent)
        {
            node.LastUsed = _tick;
            node.Hits++;
        }

        return entry.Id;
    }

    /// <summary>A running sequence computed these tokens.</summary>
    public void Extend(int id, ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty)
            return;

        var entry = Entry(id);
        var tip = entry.Tip;
        if (tip.Parent is null || tip.Holders > 1)
        {
            var child = new PrefixNode(tip, tip.End) { Holders = 1, Running = entry.Running ? 1 : 0 };
            _nodes++;
            tip.Children.Add(child);
            tip.Tips.Remove(entry);
            child.Tips.Add(entry);
            entry.Tip = child;
            tip = child;
        }

        Count(tip, -1);
        tip.Append(tokens);
        Count(tip, 1);
        tip.LastUsed = ++_tick;
    }

    /// <summary>A running sequence ended or was preempted: its cells stay for later requests when they are of use, otherwise they are freed.</summary>
    public void Release(int id, bool keep)
    {
        var entry = Entry(id);
        if (!entry.Running)
            throw new InvalidOperationException($"Sequence {id} is not running.");

        SetRunning(entry, false);
        if (!keep || !_sharing || entry.Private || entry.Length < _minShared || IsRedundant(entry) || IsCopy(entry))
        {
            Drop(entry);
            return;
        }

        _tick++;
        for (var node = entry.Tip; node.Parent is not null; node = node.Parent)
            node.LastUsed = _tick;
        DropCopiesOf(entry);
    }

    /// <summary>Frees cells no running sequence uses, least recently used leaves first and from their ends. False when there were too few.</summary>
    public bool Evict(int cells)
    {
        // In the separate layout every sequence has its own cells and nobody gains by another's end.
        if (!_kv.Unified)
            return true;

        var target = UsedCells - cells;
        while (UsedCells > target)
        {
            if (LeastRecentlyUsedLeaf() is not { } leaf)
                return false;

            var keep = leaf.End - Math.Min(leaf.Length, Math.Max(UsedCells - target, _trimChunk));
            foreach (var entry in leaf.Tips.ToArray())
            {
                if (keep < _minShared)
                {
                    Drop(entry);
                    continue;
                }

                Cut(entry, keep);
                if (IsRedundant(entry))
                    Drop(entry);
            }
        }

        return true;
    }

    /// <summary>The idle entry that was used longest ago, with everything it holds; null when there is none.</summary>
    public IdlePrefix? LeastRecentlyUsed()
    {
        PrefixEntry? oldest = null;
        foreach (var entry in _entries)
        {
            if (entry is { Running: false } && (oldest is null || entry.Tip.LastUsed < oldest.Tip.LastUsed))
                oldest = entry;
        }

        if (oldest is null)
            return null;
        var root = oldest.Tip;
        while (root.Parent is { } parent)
            root = parent;
        return root.Key is { } key ? new IdlePrefix(oldest.Id, key, TokensOf(oldest.Tip)) : null;
    }

    /// <summary>Frees an idle entry's native sequence, and the cells that are nobody else's.</summary>
    public void Forget(int id)
    {
        var entry = Entry(id);
        if (entry.Running)
            throw new InvalidOperationException($"Sequence {id} is running.");
        Drop(entry);
    }

    /// <summary>Frees everything no running sequence uses.</summary>
    public void Clear()
    {
        foreach (var entry in _entries)
        {
            if (entry is { Running: false })
                Drop(entry);
        }
    }

    /// <summary>Native sequence positions the cache knows of; drafts are not among them. 0 without an entry.</summary>
    public int Length(int id) => _entries[id]?.Length ?? 0;

    /// <summary>Prefixes that requests had in common, the ones that saved most first.</summary>
    public IReadOnlyList<HotPrefix> HotPrefixes(int minHits, int minTokens, int limit)
    {
        var hot = new List<(PrefixKey Key, PrefixNode Node)>();
        foreach (var (key, root) in _roots)
            Collect(key, root);

        return [.. hot.OrderByDescending(found => (long)found.Node.Hits * found.Node.End).Take(limit)
            .Select(found => new HotPrefix(found.Key, TokensOf(found.Node), found.Node.Hits, found.Node.AnyHolder().Id))];

        void Collect(PrefixKey key, PrefixNode node)
        {
            foreach (var child in node.Children)
            {
                if (child.Hits < minHits)
                    continue;
                if (child.End >= minTokens)
                    hot.Add((key, child));
                Collect(key, child);
            }
        }
    }

    /// <summary>
    /// Takes a native sequence for the engine's own use, empty or with the first positions of another one; -1 when all are running. It ends
    /// as an entry by <see cref="Restore"/> or is given back by <see cref="GiveBack"/>. In a unified cache the borrower sees to free cells.
    /// </summary>
    public int Borrow(int source = -1, int count = 0)
    {
        if (_free.Count == 0 && !EvictSequence(except: source < 0 ? null : Entry(source)))
            return -1;
        if (source >= 0 && Entry(source).Length < count)
            throw new ArgumentOutOfRangeException(nameof(count));

        var id = _free.Pop();
        if (source >= 0)
            _kv.Share(source, id, count);
        return id;
    }

    /// <summary>A borrowed sequence now holds these tokens and serves later requests.</summary>
    /// <param name="hits">Requests that began with them before.</param>
    public void Restore(int id, PrefixKey key, ReadOnlySpan<int> tokens, int hits = 0)
    {
        if (_entries[id] is not null || _free.Contains(id))
            throw new InvalidOperationException($"Sequence {id} was not borrowed.");

        var entry = Empty(id, key, isPrivate: false);
        IdleEntries++;
        Extend(id, tokens);
        entry.Tip.Hits = hits;
        if (entry.Length < _minShared || !_sharing || IsCopy(entry))
            Drop(entry);
    }

    /// <summary>A borrowed sequence is not needed any more; what it holds is forgotten.</summary>
    public void GiveBack(int id)
    {
        if (_entries[id] is not null || _free.Contains(id))
            throw new InvalidOperationException($"Sequence {id} was not borrowed.");
        _kv.Truncate(id, 0);
        _free.Push(id);
    }

    private PrefixEntry Entry(int id) => _entries[id] ?? throw new InvalidOperationException($"Sequence {id} is empty.");

    private PrefixEntry Empty(int id, PrefixKey key, bool isPrivate)
    {
        PrefixNode? root;
        if (isPrivate || !_sharing)
            root = new PrefixNode(null, 0);
        else if (!_roots.TryGetValue(key, out root))
            _roots.Add(key, root = new PrefixNode(null, 0) { Key = key });

        var entry = new PrefixEntry(id, root) { Private = isPrivate };
        root.Tips.Add(entry);
        return _entries[id] = entry;
    }

    private PrefixEntry Matching(PrefixKey key, PrefixMatch match)
    {
        var node = match.Node!;
        if (node.End == match.Length && node.Tips.Find(tip => !tip.Running) is { } idle)
        {
            IdleEntries--;
            return idle;
        }

        // Nodes may split and merge when room is made, entries stay what they are.
        var donor = node.AnyHolder();
        if (_free.Count == 0 && !EvictSequence(except: donor))
        {
            if (donor.Running)
                throw new InvalidOperationException("Every native sequence is running.");
            Cut(donor, match.Length);
            IdleEntries--;
            return donor;
        }

        var entry = Empty(_free.Pop(), key, isPrivate: false);
        _kv.Share(donor.Id, entry.Id, match.Length);
        Move(entry, NodeAt(donor.Tip, match.Length));
        return entry;
    }

    private int TakeId(PrefixEntry? except) => _free.Count > 0 || EvictSequence(except)
        ? _free.Pop()
        : throw new InvalidOperationException("Every native sequence is running.");

    /// <summary>Drops an idle entry for its native sequence: one whose cells others hold too if there is one, else the least recently used.</summary>
    private bool EvictSequence(PrefixEntry? except)
    {
        PrefixEntry? victim = null;
        foreach (var entry in _entries)
        {
            if (entry is null or { Running: true } || entry == except)
                continue;
            if (IsRedundant(entry))
            {
                victim = entry;
                break;
            }

            if (victim is null || entry.Tip.LastUsed < victim.Tip.LastUsed)
                victim = entry;
        }

        if (victim is null)
            return false;
        Drop(victim);
        return true;
    }

    private PrefixNode? LeastRecentlyUsedLeaf()
    {
        PrefixNode? oldest = null;
        foreach (var entry in _entries)
        {
            if (entry is { Running: false, Tip: { Children.Count: 0, Running: 0 } tip } && (oldest is null || tip.LastUsed < oldest.LastUsed))
                oldest = tip;
        }

        return oldest;
    }

    private void SetRunning(PrefixEntry entry, bool running)
    {
        entry.Running = running;
        if (!running)
            IdleEntries++;
        for (var node = entry.Tip; node.Parent is not null; node = node.Parent)
        {
            Count(node, -1);
            node.Running += running ? 1 : -1;
            Count(node, 1);
        }
    }

    private void Drop(PrefixEntry entry)
    {
        _kv.Truncate(entry.Id, 0);
        var tip = entry.Tip;
        Leave(entry, tip);
        _entries[entry.Id] = null;
        _free.Push(entry.Id);
        if (!entry.Running)
            IdleEntries--;
        Tidy(tip);
    }

    private void Cut(PrefixEntry entry, int count)
    {
        if (count >= entry.Length)
            return;
        _kv.Truncate(entry.Id, count);
        Move(entry, NodeAt(entry.Tip, count));
    }

    private void Move(PrefixEntry entry, PrefixNode tip)
    {
        var old = entry.Tip;
        for (var node = tip; node.Parent is not null; node = node.Parent)
            Hold(node, 1, entry.Running);
        tip.Tips.Add(entry);
        Leave(entry, old);
        entry.Tip = tip;
        Tidy(old);
    }

    private void Leave(PrefixEntry entry, PrefixNode tip)
    {
        tip.Tips.Remove(entry);
        for (var node = tip; node.Parent is not null; node = node.Parent)
            Hold(node, -1, entry.Running);
    }

    private void Hold(PrefixNode node, int change, bool running)
    {
        Count(node, -1);
        node.Holders += change;
        if (running)
            node.Running += change;
        Count(node, 1);
    }

    /// <summary>Adds (1) or takes out (-1) what a node contributes to the counts.</summary>
    private void Count(PrefixNode node, int sign)
    {
        var length = sign * node.Length;
        if (_kv.Unified)
        {
            UsedCells += node.Holders > 0 ? length : 0;
            SharedCells += node.Running > 1 ? length : 0;
            CachedCells += node.Holders > 0 && node.Running == 0 ? length : 0;
        }
        else
        {
            UsedCells += length * node.Holders;
            CachedCells += length * (node.Holders - node.Running);
        }
    }

    /// <summary>The node on the way to <paramref name="tip"/> that ends at a position, cut there if it does not end there yet.</summary>
    private PrefixNode NodeAt(PrefixNode tip, int position)
    {
        var node = tip;
        while (node.Parent is not null && node.Start >= position)
            node = node.Parent;
        if (node.End == position)
            return node;
        _nodes++;
        return node.SplitAt(position);
    }

    /// <summary>Removes nodes nobody holds any more and joins those that need not be apart.</summary>
    private void Tidy(PrefixNode node)
    {
        while (node is { Parent: { } parent, Holders: 0 })
        {
            parent.Children.Remove(node);
            _nodes--;
            node = parent;
        }

        if (node.Parent is null)
        {
            if (node is { Key: { } key, Children.Count: 0, Tips.Count: 0 })
                _roots.Remove(key);
            return;
        }

        // The end of a prefix that many requests had in common is worth knowing while it costs little.
        if (node is { Tips.Count: 0, Children: [var child] } && (node.Hits - child.Hits < 2 || _nodes > 4 * _entries.Length))
        {
            node.MergeChild();
            _nodes--;
        }
    }

    private static bool IsRedundant(PrefixEntry entry) => entry.Tip.Children.Count > 0 || entry.Tip.Tips.Count > 1;

    /// <summary>Whether another entry holds the same tokens in cells of its own.</summary>
    private static bool IsCopy(PrefixEntry entry)
    {
        var top = Exclusive(entry);
        if (top.Parent is null)
            return false;
        var tail = TokensOf(entry.Tip)[top.Start..];
        return Longest(top.Parent, tail, except: top, offset: top.Start).Length == entry.Length;
    }

    /// <summary>Drops idle entries that hold nothing but what the entry holds too.</summary>
    private void DropCopiesOf(PrefixEntry entry)
    {
        var top = Exclusive(entry);
        if (top.Parent is not { Children.Count: > 1 } parent)
            return;

        var tail = TokensOf(entry.Tip)[top.Start..];
        foreach (var sibling in parent.Children.ToArray())
        {
            if (sibling != top && sibling is { Running: 0, Children.Count: 0 } && tail.AsSpan().StartsWith(sibling.Tokens))
            {
                foreach (var copy in sibling.Tips.ToArray())
                    Drop(copy);
            }
        }
    }

    /// <summary>The first node on the way to the entry's end that it alone holds.</summary>
    private static PrefixNode Exclusive(PrefixEntry entry)
    {
        var node = entry.Tip;
        while (node.Parent is { Parent: not null, Holders: 1 } parent)
            node = parent;
        return node;
    }

    private static PrefixMatch Longest(PrefixNode node, ReadOnlySpan<int> tokens, PrefixNode? except, int offset = 0)
    {
        var best = new PrefixMatch(node, offset);
        foreach (var child in node.Children)
        {
            if (child == except || tokens.IsEmpty || child.Tokens[0] != tokens[0])
                continue;
            var common = child.Tokens.CommonPrefixLength(tokens);
            var found = common < child.Length
                ? new PrefixMatch(child, offset + common)
                : Longest(child, tokens[common..], except, offset + common);
            if (found.Length > best.Length)
                best = found;
        }

        return best;
    }

    private static int[] TokensOf(PrefixNode node)
    {
        var tokens = new int[node.End];
        for (var part = node; part.Parent is not null; part = part.Parent)
            part.Tokens.CopyTo(tokens.AsSpan(part.Start));
        return tokens;
    }
}
