using Fleet.Knowledge.Ingestion;

namespace Fleet.Knowledge.Documents;

/// <summary>What an upload is, decided by its bytes; the name only tells Markdown from plain text.</summary>
internal static class FileType
{
    public const string PlainText = "text/plain";
    public const string Markdown = "text/markdown";

    private static readonly (byte[] Signature, string Name)[] KnownBinaries =
    [
        ("%PDF-"u8.ToArray(), "a PDF file"),
        ("PK\u0003\u0004"u8.ToArray(), "a ZIP archive or an office file"),
        ([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "an old office or HWP file"),
        ([0x89, (byte)'P', (byte)'N', (byte)'G'], "a PNG image"),
        ([0xFF, 0xD8, 0xFF], "a JPEG image"),
        ("GIF8"u8.ToArray(), "a GIF image"),
        ([0x1F, 0x8B], "a gzip archive"),
        ([0x7F, (byte)'E', (byte)'L', (byte)'F'], "a program"),
        ("MZ"u8.ToArray(), "a program"),
        (@"{\rtf"u8.ToArray(), "an RTF file"),
    ];

    // Text by their bytes, but their text would be tags.
    private static readonly string[] MarkupExtensions = [".html", ".htm", ".xhtml", ".svg"];

    private static readonly string[] MarkdownExtensions = [".md", ".markdown", ".mdown"];

    /// <returns>The media type, or null with a sentence saying why the file is not taken.</returns>
    public static string? Detect(string name, ReadOnlySpan<byte> head, bool complete, out string refusal)
    {
        const string Accepted = "Only text and Markdown files are read for now (UTF-8, UTF-16 or CP949).";
        var extension = Path.GetExtension(name).ToLowerInvariant();
        refusal = "";

        foreach (var (signature, kind) in KnownBinaries)
        {
            if (head.StartsWith(signature) && (signature.Length > 2 || head.IndexOf((byte)0) >= 0))
            {
                refusal = $"This is {kind}. {Accepted}";
                return null;
            }
        }

        if (MarkupExtensions.Contains(extension))
        {
            refusal = $"This is an HTML file. {Accepted}";
            return null;
        }

        if (!TextDecoder.LooksLikeText(head, complete))
        {
            refusal = $"This is not text in an encoding that is known here. {Accepted}";
            return null;
        }

        return MarkdownExtensions.Contains(extension) ? Markdown : PlainText;
    }
}
