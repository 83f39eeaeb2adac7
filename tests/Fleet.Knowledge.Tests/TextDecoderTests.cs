using System.Text;
using Fleet.Knowledge.Documents;
using Fleet.Knowledge.Ingestion;

namespace Fleet.Knowledge.Tests;

public sealed class TextDecoderTests
{
    private const string Korean = "안녕하세요. 한국어 문서입니다.\nEnglish too.";

    public static TheoryData<string> Encodings => ["utf-8", "utf-8-bom", "utf-16le", "utf-16be", "utf-16le-bom", "utf-16be-bom", "cp949"];

    [Theory]
    [MemberData(nameof(Encodings))]
    public void Every_accepted_encoding_gives_the_same_text(string encoding)
    {
        Assert.True(TextDecoder.TryDecode(Encode(Korean, encoding), out var text));
        Assert.Equal(Korean, text);
    }

    [Fact]
    public void Decomposed_Korean_and_foreign_line_ends_are_normalised()
    {
        var bytes = Encoding.UTF8.GetBytes("한글\r\n둘\r셋".Normalize(NormalizationForm.FormD));

        Assert.True(TextDecoder.TryDecode(bytes, out var text));
        Assert.Equal("한글\n둘\n셋", text);
    }

    [Fact]
    public void Binary_is_not_text()
    {
        var random = new byte[4096];
        new Random(1).NextBytes(random);

        Assert.False(TextDecoder.TryDecode(random, out _));
        Assert.False(TextDecoder.TryDecode([1, 2, 3, 4, 5, 6, 7, 8], out _));
        Assert.False(TextDecoder.TryDecode([.. "abc"u8, 0, 0, .. "abc"u8], out _));
        Assert.False(TextDecoder.TryDecode([0xFF, 0xFF, 0x80, 0x81], out _));
    }

    [Fact]
    public void A_character_cut_at_the_end_of_the_head_is_no_fault()
    {
        var bytes = Encoding.UTF8.GetBytes(Korean);

        Assert.True(TextDecoder.LooksLikeText(bytes.AsSpan(0, 4), complete: false));
        Assert.False(TextDecoder.LooksLikeText([0xE2, 0x82], complete: true));
    }

    [Theory]
    [InlineData("a.md", "# Title", FileType.Markdown)]
    [InlineData("a.txt", "text", FileType.PlainText)]
    [InlineData("noextension", "text", FileType.PlainText)]
    [InlineData("a.pdf", "%PDF-1.7 text", null)]
    [InlineData("a.txt", "%PDF-1.7 text", null)]
    [InlineData("page.html", "<html></html>", null)]
    public void The_type_is_decided_by_content(string name, string content, string? expected)
    {
        Assert.Equal(expected, FileType.Detect(name, Encoding.UTF8.GetBytes(content), complete: true, out var refusal));
        Assert.Equal(expected is null, refusal.Length > 0);
    }

    private static byte[] Encode(string text, string encoding) => encoding switch
    {
        "utf-8-bom" => [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(text)],
        "utf-16le" => Encoding.Unicode.GetBytes(text),
        "utf-16be" => Encoding.BigEndianUnicode.GetBytes(text),
        "utf-16le-bom" => [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(text)],
        "utf-16be-bom" => [0xFE, 0xFF, .. Encoding.BigEndianUnicode.GetBytes(text)],
        "cp949" => CodePagesEncodingProvider.Instance.GetEncoding(949)!.GetBytes(text),
        _ => Encoding.UTF8.GetBytes(text),
    };
}
