using System.Buffers;
using System.IO.Compression;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>gzip of single messages.</summary>
internal static class MessageCompression
{
    private const int CopyBytes = 16 * 1024;

    public static void Compress(ReadOnlySpan<byte> message, CompressionLevel level, PooledBuffer output)
    {
        using var sink = new BufferStream(output);
        using var gzip = new GZipStream(sink, level, leaveOpen: true);
        gzip.Write(message);
    }

    /// <summary>Stops as soon as the limit is passed: a small message may unpack to gigabytes.</summary>
    public static void Decompress(ReadOnlySequence<byte> message, int? maxBytes, PooledBuffer output)
    {
        var compressed = ArrayPool<byte>.Shared.Rent(checked((int)message.Length));
        try
        {
            message.CopyTo(compressed);
            using var source = new MemoryStream(compressed, 0, (int)message.Length, writable: false);
            using var gzip = new GZipStream(source, CompressionMode.Decompress);
            int read;
            while ((read = gzip.Read(output.GetSpan(CopyBytes))) > 0)
            {
                output.Advance(read);
                if (output.Length > maxBytes)
                    throw new RpcException(new Status(StatusCode.ResourceExhausted, MessageReader.TooLarge));
            }
        }
        catch (InvalidDataException exception)
        {
            throw new RpcException(new Status(StatusCode.Internal, "A compressed message is not valid gzip.", exception));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(compressed);
        }
    }

    private sealed class BufferStream(PooledBuffer output) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer) => output.Write(buffer);
    }
}
