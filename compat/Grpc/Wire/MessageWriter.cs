using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>
/// Frames messages into a buffer. A serializer that announces its length writes straight into the output;
/// one that does not, and every compressed message, goes through a pooled buffer first. One message at a time.
/// </summary>
internal sealed class MessageWriter(IBufferWriter<byte> output, int? maxMessageBytes, CompressionLevel? gzipLevel)
    : SerializationContext, IDisposable
{
    private const int HeaderBytes = 5;

    private readonly PooledBuffer _buffer = new();
    private int? _announced;
    private bool _compress;
    private bool _direct;
    private bool _complete;

    /// <summary>Whether a serializer failed in the middle of the output: what follows would be read as part of its message.</summary>
    public bool IsBroken => _direct && !_complete;

    public void Write<T>(T message, Action<T, SerializationContext> serialize, WriteOptions? options)
    {
        _announced = null;
        _direct = false;
        _complete = false;
        _buffer.Clear();
        _compress = gzipLevel is not null && options?.Flags.HasFlag(WriteFlags.NoCompress) != true;
        serialize(message, this);
        if (!_complete)
            throw new InvalidOperationException("The serializer did not complete the message.");
    }

    public override void SetPayloadLength(int payloadLength)
    {
        ThrowIfTooLarge(payloadLength);
        _announced = payloadLength;
    }

    public override IBufferWriter<byte> GetBufferWriter()
    {
        if (_announced is not { } length || _compress)
            return _buffer;
        if (!_direct)
        {
            WriteHeader(length, compressed: false);
            _direct = true;
        }

        return output;
    }

    public override void Complete()
    {
        // A serializer may announce an empty message and never ask for the writer.
        if (_announced is not null && !_compress)
            _ = GetBufferWriter();
        if (!_direct)
            WriteFrame(_buffer.WrittenSpan);
        _complete = true;
    }

    public override void Complete(byte[] payload)
    {
        WriteFrame(payload);
        _complete = true;
    }

    public void Dispose() => _buffer.Dispose();

    private void WriteFrame(ReadOnlySpan<byte> payload)
    {
        ThrowIfTooLarge(payload.Length);
        if (!_compress)
        {
            WriteHeader(payload.Length, compressed: false);
            output.Write(payload);
            return;
        }

        using var compressed = new PooledBuffer();
        MessageCompression.Compress(payload, gzipLevel!.Value, compressed);
        WriteHeader(compressed.Length, compressed: true);
        output.Write(compressed.WrittenSpan);
    }

    private void WriteHeader(int length, bool compressed)
    {
        var header = output.GetSpan(HeaderBytes);
        header[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(header[1..], (uint)length);
        output.Advance(HeaderBytes);
    }

    private void ThrowIfTooLarge(int length)
    {
        if (length > maxMessageBytes)
            throw new RpcException(new Status(StatusCode.ResourceExhausted, "Sending message exceeds the maximum configured message size."));
    }
}
