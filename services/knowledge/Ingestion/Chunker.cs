namespace Fleet.Knowledge.Ingestion;

/// <summary>A passage: <c>text[Start..End]</c> is exactly <paramref name="Text"/> (UTF-16 offsets).</summary>
internal sealed record Chunk(int Start, int End, string Text, IReadOnlyList<string> Headings)
{
    /// <summary>What is embedded and indexed: the headings say what a passage in the middle of a section is about.</summary>
    public string SearchText => Headings.Count == 0 ? Text : string.Join(" › ", Headings) + "\n" + Text;
}

/// <summary>
/// Cuts a text into passages. 1. The outline gives headings, paragraphs, code and tables. 2. Each becomes units that are never torn:
/// sentences, whole code blocks and tables where they fit, else their lines. 3. Units are packed up to the target; a heading starts a
/// new passage, a paragraph's border is preferred to the middle of one, and a passage repeats the last sentences of the one before.
/// </summary>
internal static class Chunker
{
    /// <summary>Characters a passage aims at: about 200 English or 400 Korean tokens, a good grain for retrieval and citations.</summary>
    public const int TargetCharacters = 800;

    /// <summary>Code and tables up to this length stay whole; no passage is longer, but for the heading above it.</summary>
    public const int MaxBlockCharacters = 1200;

    /// <summary>At most this much of the previous passage is repeated, in whole sentences.</summary>
    public const int OverlapCharacters = 100;

    public static List<Chunk> Split(string text, bool markdown)
    {
        var blocks = TextOutline.Parse(text, markdown);
        var units = new List<Unit>();
        for (var block = 0; block < blocks.Count; block++)
            AddUnits(units, text, blocks[block], block);

        var chunks = new List<Chunk>();
        for (var first = 0; first < units.Count;)
        {
            var last = Pack(units, first);
            var (start, end) = (units[first].Start, units[last].End);
            chunks.Add(new Chunk(start, end, text[start..end], blocks[units[first].Block].Headings));
            first = WithOverlap(units, first, last);
        }

        return chunks;
    }

    /// <returns>The last unit of the passage that begins with <paramref name="first"/>.</returns>
    private static int Pack(List<Unit> units, int first)
    {
        var last = first;
        var hasBody = !units[first].IsHeading;
        while (last + 1 < units.Count)
        {
            var next = units[last + 1];
            if (hasBody && next.IsHeading)
                return last;

            // A heading alone is no passage: whatever follows it belongs to it.
            if (hasBody && next.End - units[first].Start > TargetCharacters)
                return AtParagraphBorder(units, first, last);

            last++;
            hasBody |= !next.IsHeading;
        }

        return last;
    }

    private static int AtParagraphBorder(List<Unit> units, int first, int last)
    {
        if (units[last].Block != units[last + 1].Block)
            return last;

        var border = last;
        while (border > first && units[border].Block == units[last].Block)
            border--;

        var isWorthIt = units[border].Block != units[last].Block && !units[border].IsHeading
            && units[border].End - units[first].Start >= TargetCharacters / 2;
        return isWorthIt ? border : last;
    }

    private static int WithOverlap(List<Unit> units, int first, int last)
    {
        var next = last + 1;
        if (next >= units.Count || units[next].IsHeading)
            return next;

        var begin = next;
        while (begin - 1 > first && units[begin - 1].IsSentence && units[last].End - units[begin - 1].Start <= OverlapCharacters)
            begin--;

        // The repeated sentences must leave room for something new.
        return units[next].End - units[begin].Start <= TargetCharacters ? begin : next;
    }

    private static void AddUnits(List<Unit> units, string text, TextBlock block, int index)
    {
        var fits = block.End - block.Start <= MaxBlockCharacters;
        switch (block.Kind)
        {
            case BlockKind.Heading when block.End - block.Start <= TargetCharacters:
                Add(units, text, new Unit(block.Start, block.End, index, IsHeading: true, IsSentence: false));
                break;
            case BlockKind.Code or BlockKind.Table when fits:
                Add(units, text, new Unit(block.Start, block.End, index, IsHeading: false, IsSentence: false));
                break;
            case BlockKind.Code or BlockKind.Table:
                AddPieces(units, text, block.Start, block.End, index);
                break;
            default:
                var start = block.Start;
                foreach (var end in SentenceSplitter.Borders(text, block.Start, block.End))
                {
                    if (end - start <= TargetCharacters)
                        Add(units, text, new Unit(start, end, index, IsHeading: false, IsSentence: true));
                    else
                        AddPieces(units, text, start, end, index);

                    start = end;
                }

                break;
        }
    }

    /// <summary>Cuts what is too long at a line break, else at white space, else anywhere but inside a surrogate pair.</summary>
    private static void AddPieces(List<Unit> units, string text, int start, int end, int block)
    {
        while (end - start > TargetCharacters)
        {
            var window = text.AsSpan(start + (TargetCharacters / 2), TargetCharacters / 2);
            var at = window.LastIndexOf('\n');
            if (at < 0)
                at = window.LastIndexOfAny(" \t");

            var cut = at >= 0 ? start + (TargetCharacters / 2) + at + 1 : start + TargetCharacters;
            if (char.IsHighSurrogate(text[cut - 1]) && char.IsLowSurrogate(text[cut]))
                cut--;

            Add(units, text, new Unit(start, cut, block, IsHeading: false, IsSentence: false));
            start = cut;
        }

        Add(units, text, new Unit(start, end, block, IsHeading: false, IsSentence: false));
    }

    /// <summary>Adds the unit without the white space around it, if anything is left.</summary>
    private static void Add(List<Unit> units, string text, Unit unit)
    {
        var (start, end) = (unit.Start, unit.End);
        while (start < end && char.IsWhiteSpace(text[start]))
            start++;
        while (end > start && char.IsWhiteSpace(text[end - 1]))
            end--;

        if (end > start)
            units.Add(unit with { Start = start, End = end });
    }

    private readonly record struct Unit(int Start, int End, int Block, bool IsHeading, bool IsSentence);
}
