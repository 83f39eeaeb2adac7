using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

/// <summary>
/// The model's memory cell by cell, with a model in it: what a cell holds depends on everything before it, and the next token on what the
/// cells say, so a wrong, foreign or missing cell shows in the tokens. Refuses everything the real one could not do.
/// </summary>
internal sealed class FakeKvCache(int cells, int sequences, bool unified) : IKvCache
{
    private const int Vocabulary = 50;
    private int _marks;
    private readonly List<Cell>[] _sequences = [.. Enumerable.Range(0, sequences).Select(_ => new List<Cell>())];

    public int Cells { get; } = cells;

    public int Sequences { get; } = sequences;

    public bool Unified { get; } = unified;

    public int Used { get; private set; }

    public int Allocated { get; private set; }

    public int Freed { get; private set; }

    public int Computed { get; private set; }

    public int Shares { get; private set; }

    public static int FirstToken(IEnumerable<int> tokens) => Next(tokens.Aggregate(17L, Combine));

    public int Length(int sequence) => _sequences[sequence].Count;

    /// <summary>Whether the sequence holds exactly these tokens, computed for this owner.</summary>
    public bool Holds(int sequence, IEnumerable<int> tokens, PrefixKey owner) =>
        _sequences[sequence].Select(cell => cell.Token).SequenceEqual(tokens) && _sequences[sequence].TrueForAll(cell => cell.Owner == owner);

    /// <summary>Cells that none, and that several, of the given native sequences use.</summary>
    public (int Cached, int Shared) CellsUsedBy(ICollection<int> ids)
    {
        var (cached, shared, mark) = (0, 0, ++_marks);
        for (var round = 0; round < 2; round++)
        {
            for (var id = 0; id < Sequences; id++)
            {
                // First the given ones, then the others: a cell only those have is cached.
                if (ids.Contains(id) != (round == 0))
                    continue;
                foreach (var cell in _sequences[id])
                {
                    var seen = cell.Mark == mark ? cell.Seen : 0;
                    if (round == 0)
                        shared += seen == 1 ? 1 : 0;
                    else
                        cached += seen == 0 ? 1 : 0;
                    (cell.Mark, cell.Seen) = (mark, seen + 1);
                }
            }
        }

        return (cached, shared);
    }

    /// <summary>Computes a token at a position and returns what the model would say next.</summary>
    public int Compute(int sequence, int position, int token, PrefixKey owner)
    {
        var list = _sequences[sequence];
        Assert.True(list.Count == position, "positions are not consecutive");
        Assert.True(Unified || list.Count < Cells / Sequences, "a sequence's own cells are full");
        list.Add(Allocate(token, Combine(list.Count == 0 ? 17 : list[^1].Value, token), owner));
        Assert.True(Used <= Cells, "more cells than there are");
        Computed++;
        return Next(list[^1].Value);
    }

    public void Share(int source, int target, int count)
    {
        Assert.NotEqual(source, target);
        Assert.Empty(_sequences[target]);
        Assert.InRange(count, 1, _sequences[source].Count);
        foreach (var cell in _sequences[source].Take(count))
        {
            if (Unified)
                cell.Users++;
            _sequences[target].Add(Unified ? cell : Allocate(cell.Token, cell.Value, cell.Owner));
        }

        Shares++;
    }

    public void Truncate(int sequence, int count)
    {
        var list = _sequences[sequence];
        Assert.InRange(count, 0, list.Count);
        for (var i = list.Count - 1; i >= count; i--)
        {
            if (list[i].Users <= 0)
                Assert.Fail("freed twice");
            if (--list[i].Users == 0)
            {
                Used--;
                Freed++;
            }
        }

        list.RemoveRange(count, list.Count - count);
    }

    private static long Combine(long value, int token) => unchecked((value * 6364136223846793005L) + token + 1442695040888963407L);

    private static int Next(long value) => (int)((ulong)value >> 33) % Vocabulary;

    private Cell Allocate(int token, long value, PrefixKey owner)
    {
        Used++;
        Allocated++;
        return new Cell(token, value, owner) { Users = 1 };
    }

    private sealed class Cell(int token, long value, PrefixKey owner)
    {
        public int Token { get; } = token;

        public long Value { get; } = value;

        public PrefixKey Owner { get; } = owner;

        public int Users { get; set; }

        public int Mark { get; set; }

        public int Seen { get; set; }
    }
}
