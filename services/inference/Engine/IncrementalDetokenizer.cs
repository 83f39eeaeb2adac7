using System.Text;

namespace Fleet.Inference.Engine;

/// <summary>
/// Turns the bytes of tokens into text as they come. A character may be spread over tokens (a Hangul syllable is three bytes): its bytes
/// wait until it is whole. Bytes that can never become a character turn into U+FFFD.
/// </summary>
internal sealed class IncrementalDetokenizer
{
    private readonly Decoder _decoder = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false).GetDecoder();

    public string Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return "";

        // At most one character per byte, and what waited from before.
        var characters = new char[bytes.Length + 4];
        return new string(characters, 0, _decoder.GetChars(bytes, characters, flush: false));
    }
}
