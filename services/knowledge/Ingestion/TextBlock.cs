namespace Fleet.Knowledge.Ingestion;

internal enum BlockKind
{
    Heading,
    Paragraph,
    Code,
    Table,
}

/// <summary>A structural part of a text: <c>text[Start..End]</c>, with the headings above it, outermost first.</summary>
internal readonly record struct TextBlock(BlockKind Kind, int Start, int End, IReadOnlyList<string> Headings);

/// <summary>Finds headings, fenced code, tables and paragraphs. Plain text has paragraphs only.</summary>
internal static class TextOutline
{
    private const int MaxHeadingLevel = 6;

    public static List<TextBlock> Parse(string text, bool markdown)
    {
        var blocks = new List<TextBlock>();
        var path = new List<(int Level, string Title)>();
        IReadOnlyList<string> headings = [];
        var (open, openStart, openEnd) = (default(BlockKind?), 0, 0);
        ReadOnlySpan<char> fence = default;

        for (var start = 0; start <= text.Length;)
        {
            var newline = text.IndexOf('\n', start);
            var end = newline < 0 ? text.Length : newline;
            var line = text.AsSpan(start, end - start);
            var trimmed = line.Trim();

            if (open is BlockKind.Code)
            {
                openEnd = end;
                if (trimmed.StartsWith(fence) && trimmed.TrimStart(fence[0]).IsEmpty)
                    Close();
            }
            else if (trimmed.IsEmpty)
            {
                Close();
            }
            else if (markdown && FenceOf(trimmed) is { IsEmpty: false } opening)
            {
                Close();
                fence = opening;
                (open, openStart, openEnd) = (BlockKind.Code, start, end);
            }
            else if (markdown && LevelOf(line) is var level and > 0)
            {
                Close();
                path.RemoveAll(heading => heading.Level >= level);
                path.Add((level, trimmed[level..].Trim().TrimEnd('#').TrimEnd().ToString()));
                headings = [.. path.Select(heading => heading.Title)];
                blocks.Add(new TextBlock(BlockKind.Heading, start, end, headings));
            }
            else
            {
                var kind = markdown && trimmed[0] == '|' ? BlockKind.Table : BlockKind.Paragraph;
                if (open != kind)
                {
                    Close();
                    (open, openStart) = (kind, start);
                }

                openEnd = end;
            }

            start = end + 1;
        }

        Close();
        return blocks;

        void Close()
        {
            if (open is { } kind)
                blocks.Add(new TextBlock(kind, openStart, openEnd, headings));

            open = null;
        }
    }

    /// <summary>The run of back-ticks or tildes that opens a fence; empty when the line opens none.</summary>
    private static ReadOnlySpan<char> FenceOf(ReadOnlySpan<char> trimmed)
    {
        if (trimmed[0] is not ('`' or '~'))
            return default;

        var length = trimmed.IndexOfAnyExcept(trimmed[0]) is var other and >= 0 ? other : trimmed.Length;
        return length >= 3 ? trimmed[..length] : default;
    }

    private static int LevelOf(ReadOnlySpan<char> line)
    {
        var level = line.IndexOfAnyExcept('#') is var other and >= 0 ? other : line.Length;
        var isHeading = level is > 0 and <= MaxHeadingLevel && level < line.Length && char.IsWhiteSpace(line[level]);
        return isHeading ? level : 0;
    }
}
