using System.Text.RegularExpressions;

namespace Fleet.Inference.Engine.Extractive;

internal enum UnitKind
{
    Sentence,
    TableRow,
    Code,
}

/// <summary>The smallest piece of a passage worth quoting.</summary>
/// <param name="Heading">What stands above it: headings, a table's header row.</param>
internal readonly record struct TextUnit(string Text, UnitKind Kind, string Heading);

/// <summary>
/// Reads a passage as Markdown or plain text and yields what can be quoted: sentences of paragraphs and list items, table rows
/// and whole code blocks. Headings are context, not quotes. Inline marks are removed, words are not touched.
/// </summary>
internal static partial class DocumentText
{
    private const int MaxHeadingLength = 60;

    public static List<TextUnit> Read(string text)
    {
        var units = new List<TextUnit>();
        var lines = text.ReplaceLineEndings("\n").Split('\n');
        var paragraph = new List<string>();
        var heading = "";
        var tableHeader = default(string);
        var inList = false;

        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Trim();
            while (line.StartsWith('>'))
                line = line[1..].TrimStart();

            if (!line.StartsWith('|'))
                tableHeader = null;

            if (line.StartsWith("```", StringComparison.Ordinal) || line.StartsWith("~~~", StringComparison.Ordinal))
            {
                EndParagraph(followedByMore: true);
                i = ReadCode(lines, i, heading, units);
            }
            else if (line.Length == 0)
            {
                EndParagraph(followedByMore: i + 1 < lines.Length);
            }
            else if (HeadingLine().Match(line) is { Success: true } match)
            {
                EndParagraph(followedByMore: true);
                heading = StripInline(match.Groups[1].Value);
            }
            else if (line.StartsWith('|'))
            {
                EndParagraph(followedByMore: true);
                tableHeader = ReadTableRow(lines, i, heading, tableHeader, units);
            }
            else if (RuleLine().IsMatch(line))
            {
                EndParagraph(followedByMore: true);
            }
            else if (ListMarker().Match(line) is { Success: true } item)
            {
                EndParagraph(followedByMore: true);
                paragraph.Add(line[item.Length..]);
                inList = true;
            }
            else
            {
                paragraph.Add(line);
            }
        }

        EndParagraph(followedByMore: false);
        if (units.Count == 0 && heading.Length > 0)
            units.Add(new TextUnit(heading, UnitKind.Sentence, ""));
        return units;

        void EndParagraph(bool followedByMore)
        {
            if (paragraph.Count == 0)
                return;

            var joined = StripInline(string.Join(' ', paragraph));
            // A short line that ends like a label is the heading of what follows; a list item is quotable whatever its length.
            var onlyTitle = followedByMore && !inList && paragraph.Count == 1 && joined.Length <= MaxHeadingLength && !EndsLikeASentence(joined);
            paragraph.Clear();
            inList = false;
            if (onlyTitle)
            {
                heading = joined;
                return;
            }

            foreach (var sentence in SentenceSplitter.Split(joined))
                units.Add(new TextUnit(sentence, UnitKind.Sentence, heading));
        }
    }

    /// <summary>Markdown's inline marks taken away: emphasis, code ticks, links and images keep their words.</summary>
    public static string StripInline(string text)
    {
        var plain = LinkOrImage().Replace(text, "$1");
        plain = Autolink().Replace(plain, "$1");
        plain = HtmlTag().Replace(plain, " ");
        plain = Emphasis().Replace(plain, "$1$2$3$4$5");
        plain = plain.Replace("`", "", StringComparison.Ordinal);
        return Spaces().Replace(plain, " ").Trim();
    }

    private static int ReadCode(string[] lines, int start, string heading, List<TextUnit> units)
    {
        var fence = lines[start].Trim()[..3];
        var end = start + 1;
        while (end < lines.Length && !lines[end].TrimStart().StartsWith(fence, StringComparison.Ordinal))
            end++;

        var body = string.Join('\n', lines[(start + 1)..Math.Min(end, lines.Length)]).Trim('\n');
        if (!string.IsNullOrWhiteSpace(body))
            units.Add(new TextUnit($"{fence}\n{body}\n{fence}", UnitKind.Code, heading));
        return end;
    }

    private static string? ReadTableRow(string[] lines, int index, string heading, string? header, List<TextUnit> units)
    {
        var line = lines[index].Trim();
        if (TableRule().IsMatch(line))
            return header;

        var row = string.Join(" | ", line.Trim('|').Split('|').Select(StripInline));
        var isHeader = index + 1 < lines.Length && TableRule().IsMatch(lines[index + 1].Trim());
        if (isHeader)
            return row;

        units.Add(new TextUnit(row, UnitKind.TableRow, header is null ? heading : $"{heading} {header}"));
        return header;
    }

    private static bool EndsLikeASentence(string text) => text[^1] is '.' or '!' or '?' or '。' or '…' or '"' or '”' or ')' or ';'
        || text.EndsWith('다') || text.EndsWith('요') || text.EndsWith('음') || text.EndsWith('함') || text.Any(char.IsDigit);

    [GeneratedRegex(@"^#{1,6}\s+(.+?)\s*#*$")]
    private static partial Regex HeadingLine();

    [GeneratedRegex(@"^([-*+•·]|\d{1,3}[.)])\s+")]
    private static partial Regex ListMarker();

    [GeneratedRegex(@"^([-*_=]\s*){3,}$")]
    private static partial Regex RuleLine();

    [GeneratedRegex(@"^\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?$")]
    private static partial Regex TableRule();

    [GeneratedRegex(@"!?\[([^\]]*)\]\([^)\s]*(?:\s+""[^""]*"")?\)")]
    private static partial Regex LinkOrImage();

    [GeneratedRegex(@"<((?:https?://|mailto:)[^\s<>]+)>", RegexOptions.IgnoreCase)]
    private static partial Regex Autolink();

    [GeneratedRegex(@"</?[a-zA-Z][^<>]{0,80}>")]
    private static partial Regex HtmlTag();

    [GeneratedRegex(@"\*\*(.+?)\*\*|~~(.+?)~~|(?<!\w)__(.+?)__(?!\w)|(?<![\w*])\*(?!\s)([^*]+?)\*|(?<!\w)_(?!\s)([^_]+?)_(?!\w)")]
    private static partial Regex Emphasis();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
