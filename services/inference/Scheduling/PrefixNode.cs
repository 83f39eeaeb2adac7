using System.Runtime.InteropServices;

namespace Fleet.Inference.Scheduling;

/// <summary>Sequences share cells only under the same key.</summary>
internal readonly record struct PrefixKey(string TenantId, string AdapterKey);

/// <summary>
/// A run of cells in the radix tree: the tokens they hold and how many native sequences use them. A sequence always ends at the end of a
/// node. Two children may begin alike when two sequences computed the same tokens each for itself.
/// </summary>
internal sealed class PrefixNode(PrefixNode? parent, int start)
{
    private readonly List<int> _tokens = [];

    /// <summary>Null for a root, which has no tokens.</summary>
    public PrefixNode? Parent { get; set; } = parent;

    /// <summary>Set on a root that can be found; null on other nodes and on roots of sequences that share nothing.</summary>
    public PrefixKey? Key { get; init; }

    /// <summary>Position of the first token.</summary>
    public int Start { get; private set; } = start;

    public int End => Start + _tokens.Count;

    public int Length => _tokens.Count;

    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);

    public List<PrefixNode> Children { get; } = [];

    /// <summary>Entries that end here.</summary>
    public List<PrefixEntry> Tips { get; } = [];

    /// <summary>Entries that go through here or end here.</summary>
    public int Holders { get; set; }

    /// <summary>Of them, those of running sequences.</summary>
    public int Running { get; set; }

    /// <summary>The cache's tick of the last use.</summary>
    public long LastUsed { get; set; }

    /// <summary>Requests that found the whole node in the cache.</summary>
    public int Hits { get; set; }

    public void Append(ReadOnlySpan<int> tokens) => _tokens.AddRange(tokens);

    /// <summary>Cuts the node in two at a position inside it; the new upper half is returned, this one stays the lower.</summary>
    public PrefixNode SplitAt(int position)
    {
        var upper = new PrefixNode(Parent, Start) { Holders = Holders, Running = Running, LastUsed = LastUsed, Hits = Hits };
        upper.Append(Tokens[..(position - Start)]);
        upper.Children.Add(this);
        Parent!.Children[Parent.Children.IndexOf(this)] = upper;

        _tokens.RemoveRange(0, position - Start);
        (Parent, Start) = (upper, position);
        return upper;
    }

    /// <summary>Takes in the only child, which has the same holders.</summary>
    public void MergeChild()
    {
        var child = Children[0];
        Children.Clear();
        Append(child.Tokens);
        (LastUsed, Hits) = (child.LastUsed, child.Hits);
        foreach (var grandchild in child.Children)
        {
            grandchild.Parent = this;
            Children.Add(grandchild);
        }

        foreach (var entry in child.Tips)
        {
            entry.Tip = this;
            Tips.Add(entry);
        }
    }

    /// <summary>Any entry that has this node's cells.</summary>
    public PrefixEntry AnyHolder()
    {
        var node = this;
        while (node.Tips.Count == 0)
            node = node.Children[0];
        return node.Tips[0];
    }
}

/// <summary>A native sequence with something in it, or about to have: a running sequence's, or one kept for later requests.</summary>
internal sealed class PrefixEntry(int id, PrefixNode tip)
{
    public int Id { get; } = id;

    /// <summary>The node it ends at; a root while it is empty.</summary>
    public PrefixNode Tip { get; set; } = tip;

    /// <summary>A running sequence's: pinned.</summary>
    public bool Running { get; set; }

    /// <summary>Shares nothing and leaves nothing.</summary>
    public bool Private { get; init; }

    public int Length => Tip.End;
}

/// <summary>What of a request's tokens the cache has. Valid until the cache changes.</summary>
internal readonly record struct PrefixMatch(PrefixNode? Node, int Length)
{
    public static PrefixMatch None => default;
}

/// <summary>A prefix several requests had in common.</summary>
/// <param name="HolderId">A native sequence that begins with it; it may go on with what is private to a conversation.</param>
internal sealed record HotPrefix(PrefixKey Key, IReadOnlyList<int> Tokens, int Hits, int HolderId);

/// <summary>What a finished sequence left in the cache.</summary>
internal sealed record IdlePrefix(int Id, PrefixKey Key, IReadOnlyList<int> Tokens);
