using System.Text;

namespace Fleet.Knowledge.Ingestion;

/// <summary>
/// Bytes to text: a byte order mark decides, then strict UTF-8, then UTF-16 without a mark, then CP949 (which contains EUC-KR).
/// The result is in NFC with line feeds only, so that offsets, search terms and Korean names typed on any system agree.
/// </summary>
internal static class TextDecoder
{
    private const int Cp949 = 949;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly UnicodeEncoding StrictUtf16 = new(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true);
    private static readonly UnicodeEncoding StrictUtf16BigEndian = new(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true);
    private static readonly Encoding StrictCp949 = CodePagesEncodingProvider.Instance.GetEncoding(
        Cp949, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)!;

    /// <param name="complete">False when more follows: a character cut at the end is then no fault.</param>
    public static bool LooksLikeText(ReadOnlySpan<byte> head, bool complete)
    {
        if (complete)
            return TryDecode(head, out _);

        // At most three bytes of a UTF-8 character (one of the others) are cut off.
        for (var cut = 0; cut < 4 && cut < head.Length; cut++)
        {
            if (TryDecode(head[..^cut], out _))
                return true;
        }

        return false;
    }

    public static bool TryDecode(ReadOnlySpan<byte> bytes, out string text)
    {
        if (bytes.StartsWith("\uFEFF"u8))
            return TryDecode(StrictUtf8, bytes[3..], out text);
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]))
            return TryDecode(StrictUtf16, bytes[2..], out text);
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF]))
            return TryDecode(StrictUtf16BigEndian, bytes[2..], out text);

        if (bytes.IndexOf((byte)0) >= 0)
        {
            // ASCII in UTF-16 has a zero in every other byte; zeros on both sides mean binary.
            var (even, odd) = CountZeros(bytes);
            if (odd > 0 && even == 0)
                return TryDecode(StrictUtf16, bytes, out text);
            if (even > 0 && odd == 0)
                return TryDecode(StrictUtf16BigEndian, bytes, out text);

            text = "";
            return false;
        }

        return TryDecode(StrictUtf8, bytes, out text) || TryDecode(StrictCp949, bytes, out text);
    }

    private static bool TryDecode(Encoding encoding, ReadOnlySpan<byte> bytes, out string text)
    {
        text = "";
        try
        {
            var decoded = encoding.GetString(bytes);
            if (HasBinaryControls(decoded))
                return false;

            text = decoded.ReplaceLineEndings("\n").Normalize(NormalizationForm.FormC);
            return true;
        }
        catch (ArgumentException)
        {
            // DecoderFallbackException: not this encoding.
            return false;
        }
    }

    /// <summary>Control characters that no text file has; a few (form feeds, escapes in logs) are tolerated.</summary>
    private static bool HasBinaryControls(string text)
    {
        var controls = 0;
        foreach (var character in text)
        {
            if (character == '\0')
                return true;
            if (character < ' ' && character is not ('\n' or '\r' or '\t' or '\f' or '\v' or '\u001B'))
                controls++;
        }

        return controls * 100 > text.Length;
    }

    private static (int Even, int Odd) CountZeros(ReadOnlySpan<byte> bytes)
    {
        int even = 0, odd = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != 0)
                continue;

            if (i % 2 == 0)
                even++;
            else
                odd++;
        }

        return (even, odd);
    }
}
