using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class PrefixCacheTests
{
    private static readonly PrefixKey Key = new("tenant", "");

    [Fact]
    public void Match_AfterTheEndOfOne_FindsTheLongestCommonPrefix()
    {
        var (kv, cache) = Cache();
        Idle(kv, cache, [1, 2, 3, 4, 5, 6]);

        Assert.Equal(6, cache.Match(Key, [1, 2, 3, 4, 5, 6, 7], 6).Length);
        Assert.Equal(3, cache.Match(Key, [1, 2, 3, 9, 9], 4).Length);
        Assert.Equal(4, cache.Match(Key, [1, 2, 3, 4, 5, 6], limit: 4).Length);
        Assert.Equal(0, cache.Match(Key, [1, 9], 1).Length);
        Assert.Equal(0, cache.Match(new PrefixKey("other", ""), [1, 2, 3, 4], 3).Length);
        Assert.Equal(0, cache.Match(new PrefixKey("tenant", "lora"), [1, 2, 3, 4], 3).Length);
    }

    [Fact]
    public void Acquire_InsideAnEntry_SharesItsCellsAndSplits()
    {
        var (kv, cache) = Cache();
        Idle(kv, cache, [1, 2, 3, 4, 5, 6]);

        var id = Start(kv, cache, [1, 2, 3, 4, 9, 9]);

        Assert.Equal((8, 0, 2), (cache.UsedCells, cache.SharedCells, cache.CachedCells));
        Assert.Equal((kv.Used, 1, 8), (cache.UsedCells, kv.Shares, kv.Computed));
        var second = Start(kv, cache, [1, 2, 3, 4, 9, 8]);
        Assert.Equal((9, 5), (cache.UsedCells, cache.SharedCells));
        cache.Release(id, keep: true);
        cache.Release(second, keep: false);
        Assert.Equal((8, 8, 0), (cache.UsedCells, cache.CachedCells, cache.SharedCells));
        Assert.Equal(kv.Used, cache.UsedCells);
        cache.Clear();
        Assert.Equal((0, kv.Allocated), (kv.Used, kv.Freed));
    }

    [Fact]
    public void Acquire_AnIdleEntryIsWhollyPartOfTheRequest_IsTakenOverWithoutACopy()
    {
        var (kv, cache) = Cache();
        var first = Idle(kv, cache, [1, 2, 3, 4]);

        var id = Start(kv, cache, [1, 2, 3, 4, 5, 6]);

        Assert.Equal((first, 0, 6, 0), (id, kv.Shares, cache.UsedCells, cache.IdleEntries));
    }

    [Fact]
    public void Release_TwoComputedTheSame_OnlyOneStays()
    {
        var (kv, cache) = Cache();
        var first = cache.Acquire(Key, PrefixMatch.None, isPrivate: false);
        var second = cache.Acquire(Key, PrefixMatch.None, isPrivate: false);
        foreach (var id in (int[])[first, second])
            Compute(kv, cache, id, [1, 2, 3, 4]);
        Compute(kv, cache, second, [5]);
        Assert.Equal(9, cache.UsedCells);

        cache.Release(first, keep: true);
        cache.Release(second, keep: true);

        Assert.Equal((5, 1), (cache.UsedCells, cache.IdleEntries));
        Assert.Equal(5, cache.Match(Key, [1, 2, 3, 4, 5, 6], 5).Length);

        var third = cache.Acquire(Key, PrefixMatch.None, isPrivate: false);
        Compute(kv, cache, third, [1, 2, 3]);
        cache.Release(third, keep: true);
        Assert.Equal((5, 1, kv.Used), (cache.UsedCells, cache.IdleEntries, 5));
    }

    [Fact]
    public void Evict_TakesTheLeastRecentlyUsedLeafFromItsEnd()
    {
        var (kv, cache) = Cache(cells: 64);
        var old = Idle(kv, cache, [1, 2, 3, 4, 5, 6, 7, 8]);
        var young = Idle(kv, cache, [11, 12, 13, 14, 15, 16, 17, 18]);

        Assert.True(cache.Evict(3));
        Assert.Equal((5, 8), (cache.Length(old), cache.Length(young)));

        // Used again: now the other one is the older.
        cache.Release(Start(kv, cache, [1, 2, 3, 4, 5, 9]), keep: true);
        Assert.True(cache.Evict(3));
        Assert.Equal((6, 5), (cache.Length(old), cache.Length(young)));

        Assert.False(cache.Evict(1000));
        Assert.Equal((0, kv.Sequences), (kv.Used, cache.FreeSequences));
    }

    [Fact]
    public void Evict_ALeafBelowASharedPrefix_LeavesThePrefix()
    {
        var (kv, cache) = Cache(cells: 64);
        Idle(kv, cache, [1, 2, 3, 4, 5, 5, 5]);
        Idle(kv, cache, [1, 2, 3, 4, 6, 6, 6]);
        var running = Start(kv, cache, [1, 2, 3, 4, 7]);

        Assert.True(cache.Evict(6));

        Assert.Equal((5, 0, 5), (cache.UsedCells, cache.CachedCells, cache.Length(running)));
        Assert.False(cache.Evict(1));
        Assert.Equal(5, cache.Length(running));
        Assert.Equal(5, kv.Used);
    }

    [Fact]
    public void Evict_LessThanIsWorthSharingWouldStay_TakesTheWholeEntry()
    {
        var (kv, cache) = Cache(cells: 64, minShared: 4);
        Idle(kv, cache, [1, 2, 3, 4, 5]);

        Assert.True(cache.Evict(2));

        Assert.Equal((0, 0), (kv.Used, cache.IdleEntries));
    }

    [Fact]
    public void Acquire_NoNativeSequenceFree_EvictsTheOldestIdleButNotTheDonor()
    {
        var (kv, cache) = Cache(sequences: 2);
        var donor = Idle(kv, cache, [1, 2, 3, 4, 5]);
        Idle(kv, cache, [7, 7, 7, 7, 7]);

        var id = Start(kv, cache, [1, 2, 3, 9]);
        Assert.NotEqual(donor, id);
        Assert.Equal((6, 5, 1), (cache.UsedCells, cache.Length(donor), kv.Shares));

        // Only the donor is left: it becomes the request's own, cut to what they have in common.
        var other = Start(kv, cache, [1, 2, 3, 4, 8]);
        Assert.Equal(donor, other);
        Assert.Equal((6, 3, 0, 1), (cache.UsedCells, cache.SharedCells, cache.IdleEntries, kv.Shares));
        Assert.Throws<InvalidOperationException>(() => cache.Acquire(Key, PrefixMatch.None, isPrivate: false));
    }

    [Fact]
    public void Release_PrivateOrTooShort_LeavesNothing()
    {
        var (kv, cache) = Cache(minShared: 3);
        var hidden = cache.Acquire(Key, PrefixMatch.None, isPrivate: true);
        Compute(kv, cache, hidden, [1, 2, 3, 4]);
        Assert.Equal(0, cache.Match(Key, [1, 2, 3, 4], 4).Length);
        cache.Release(hidden, keep: true);
        Idle(kv, cache, [1, 2]);

        Assert.Equal((0, 0), (kv.Used, cache.IdleEntries));
        Assert.Throws<InvalidOperationException>(() => cache.Release(hidden, keep: true));
    }

    [Fact]
    public void SeparateLayout_SharingCopiesAndCountsEverySequencesCells()
    {
        var (kv, cache) = Cache(unified: false);
        Idle(kv, cache, [1, 2, 3, 4]);

        Start(kv, cache, [1, 2, 3, 9]);

        Assert.Equal((8, 4, 0, 8), (cache.UsedCells, cache.CachedCells, cache.SharedCells, kv.Used));
    }

    [Fact]
    public void HotPrefixes_GiveTheCommonPartWithItsHits()
    {
        var (kv, cache) = Cache(sequences: 8);
        for (var i = 0; i < 4; i++)
            Idle(kv, cache, [1, 2, 3, 4, 20 + i, 21, 22]);

        var hot = Assert.Single(cache.HotPrefixes(minHits: 2, minTokens: 3, limit: 10));

        Assert.Equal((Key, 3), (hot.Key, hot.Hits));
        Assert.Equal([1, 2, 3, 4], hot.Tokens);
        Assert.True(kv.Holds(hot.HolderId, [.. hot.Tokens, .. KvTail(kv, hot)], Key));
    }

    [Fact]
    public void Restore_AnEntryFilledByTheEngine_ServesRequests()
    {
        var (kv, cache) = Cache();
        var id = cache.Borrow();
        for (var i = 0; i < 4; i++)
            kv.Compute(id, i, i + 1, Key);
        cache.Restore(id, Key, [1, 2, 3, 4]);

        Assert.Equal((4, 1), (cache.CachedCells, cache.IdleEntries));
        Assert.Equal(4, cache.Match(Key, [1, 2, 3, 4, 5], 4).Length);
        Assert.Throws<InvalidOperationException>(() => cache.Restore(id, Key, [1]));
        Assert.Throws<InvalidOperationException>(() => cache.GiveBack(id));
    }

    [Fact]
    public void Borrow_ThePrefixOfAHolder_IsItsOwnUntilGivenBack()
    {
        var (kv, cache) = Cache(sequences: 2);
        var holder = Start(kv, cache, [1, 2, 3, 4]);

        var id = cache.Borrow(holder, 3);
        Assert.Equal(3, kv.Length(id));
        Assert.Equal(-1, cache.Borrow());
        cache.GiveBack(id);

        Assert.Equal((0, 1, 4), (kv.Length(id), cache.FreeSequences, kv.Used));
    }

    private static int[] KvTail(FakeKvCache kv, HotPrefix hot) =>
        [.. Enumerable.Range(20, 4).Select(first => (int[])[first, 21, 22]).First(tail => kv.Holds(hot.HolderId, [.. hot.Tokens, .. tail], Key))];

    private static (FakeKvCache, PrefixCache) Cache(int cells = 1000, int sequences = 4, int minShared = 2, bool unified = true)
    {
        var kv = new FakeKvCache(cells, sequences, unified);
        return (kv, new PrefixCache(kv, sharing: true, minShared));
    }

    private static int Idle(FakeKvCache kv, PrefixCache cache, int[] tokens)
    {
        var id = Start(kv, cache, tokens);
        cache.Release(id, keep: true);
        return id;
    }

    private static int Start(FakeKvCache kv, PrefixCache cache, int[] tokens)
    {
        var match = cache.Match(Key, tokens, tokens.Length - 1);
        var id = cache.Acquire(Key, match, isPrivate: false);
        Compute(kv, cache, id, tokens[match.Length..]);
        return id;
    }

    private static void Compute(FakeKvCache kv, PrefixCache cache, int id, int[] tokens)
    {
        foreach (var token in tokens)
            kv.Compute(id, kv.Length(id), token, Key);
        cache.Extend(id, tokens);
    }
}
