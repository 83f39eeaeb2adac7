using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;

namespace Fleet.Inference.Engine.Providers;

/// <summary>One message of a stream: an event of text/event-stream or a line of newline-delimited JSON.</summary>
/// <param name="Event">Of event streams that name their events; empty otherwise.</param>
internal readonly record struct Frame(string Event, ReadOnlyMemory<byte> Data);

/// <summary>Reads streams as they come, whatever the network's cuts, and gives up on what is larger than any honest message.</summary>
internal static class Frames
{
    private const int ReadBytes = 16 * 1024;

    /// <summary>Server-sent events (WHATWG HTML, 9.2.6): comments, ids and retries are skipped, data lines joined. What the end cuts off counts as sent.</summary>
    public static async IAsyncEnumerable<Frame> ServerSentEventsAsync(Stream stream, int maxBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var name = "";
        using var data = new MemoryStream();
        var any = false;
        await foreach (var line in LinesAsync(stream, maxBytes, cancellationToken))
        {
            if (line.Length == 0)
            {
                if (any)
                    yield return new Frame(name, data.ToArray());
                (name, any) = ("", false);
                data.SetLength(0);
                continue;
            }

            if (ValueOf(line, "data"u8) is { } text)
            {
                if (data.Length + text.Length >= maxBytes)
                    throw TooLarge(maxBytes);
                if (any)
                    data.WriteByte((byte)'\n');
                data.Write(text.Span);
                any = true;
            }
            else if (ValueOf(line, "event"u8) is { } value)
            {
                name = Encoding.UTF8.GetString(value.Span);
            }
        }

        if (any)
            yield return new Frame(name, data.ToArray());
    }

    /// <summary>Newline-delimited JSON; empty lines are skipped.</summary>
    public static async IAsyncEnumerable<Frame> JsonLinesAsync(Stream stream, int maxBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var line in LinesAsync(stream, maxBytes, cancellationToken))
        {
            if (line.Length > 0)
                yield return new Frame("", line);
        }
    }

    // "name: value", "name:value" and "name" alone; null for another field.
    private static ReadOnlyMemory<byte>? ValueOf(ReadOnlyMemory<byte> line, ReadOnlySpan<byte> field)
    {
        if (!line.Span.StartsWith(field))
            return null;
        if (line.Length == field.Length)
            return ReadOnlyMemory<byte>.Empty;
        if (line.Span[field.Length] != ':')
            return null;

        var value = line[(field.Length + 1)..];
        return value.Span.StartsWith(" "u8) ? value[1..] : value;
    }

    // Lines end with LF, CRLF or CR. A memory that is given out lives until the next is asked for.
    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> LinesAsync(Stream stream, int maxBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(ReadBytes);
        var line = new ArrayBufferWriter<byte>(256);
        var afterReturn = false;
        var first = true;
        try
        {
            int read;
            while ((read = await stream.ReadAsync(buffer.AsMemory(0, ReadBytes), cancellationToken)) > 0)
            {
                var rest = buffer.AsMemory(0, read);
                while (rest.Length > 0)
                {
                    if (afterReturn && rest.Span[0] == '\n')
                        rest = rest[1..];
                    afterReturn = false;
                    var end = rest.Span.IndexOfAny((byte)'\r', (byte)'\n');
                    var piece = end < 0 ? rest : rest[..end];
                    if (line.WrittenCount + piece.Length > maxBytes)
                        throw TooLarge(maxBytes);
                    line.Write(piece.Span);
                    if (end < 0)
                        break;

                    afterReturn = rest.Span[end] == '\r';
                    rest = rest[(end + 1)..];
                    yield return WithoutMark(line.WrittenMemory, first);
                    first = false;
                    line.ResetWrittenCount();
                }
            }

            if (line.WrittenCount > 0)
                yield return WithoutMark(line.WrittenMemory, first);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> line, bool first) =>
        first && line.Span.StartsWith("\uFEFF"u8) ? line[3..] : line;

    private static InvalidDataException TooLarge(int maxBytes) => new($"A message of the stream has more than {maxBytes} bytes.");
}
