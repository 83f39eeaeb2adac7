using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>
/// Cuts a byte stream into length-prefixed messages and hands each to the deserializer without copying it.
/// One reader at a time; what is not a well-formed message ends in an <see cref="RpcException"/> with the protocol's status.
/// </summary>
internal sealed class MessageReader(PipeReader input, string encoding, int? maxMessageBytes) : DeserializationContext
{
    public const string TooLarge = "Received message exceeds the maximum configured message size.";

    private const int HeaderBytes = 5;

    private ReadOnlySequence<byte> _payload;

    public override int PayloadLength => (int)_payload.Length;

    public override byte[] PayloadAsNewBuffer() => _payload.ToArray();

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => _payload;

    /// <summary>The next message, or null at the orderly end of the stream.</summary>
    public async ValueTask<T?> ReadAsync<T>(Func<DeserializationContext, T> deserialize, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (result.IsCanceled)
                throw new OperationCanceledException("The read was cancelled.");

            var buffer = result.Buffer;
            var consumed = buffer.Start;
            var examined = buffer.End;
            try
            {
                if (TryCut(buffer, out var payload, out var compressed))
                {
                    var message = Deserialize(payload, compressed, deserialize);
                    consumed = payload.End;
                    examined = consumed;
                    return message;
                }

                if (result.IsCompleted)
                {
                    if (buffer.IsEmpty)
                        return null;
                    throw new RpcException(new Status(StatusCode.Internal, "Incomplete message."));
                }
            }
            finally
            {
                input.AdvanceTo(consumed, examined);
            }
        }
    }

    /// <summary>The only message of the stream; anything but exactly one is an error, except none at all, which is null.</summary>
    public async ValueTask<T?> ReadSingleAsync<T>(Func<DeserializationContext, T> deserialize, CancellationToken cancellationToken)
        where T : class
    {
        var message = await ReadAsync(deserialize, cancellationToken).ConfigureAwait(false);
        if (message is null)
            return null;

        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var isEmpty = result.Buffer.IsEmpty;
            input.AdvanceTo(result.Buffer.End);
            if (!isEmpty)
                throw new RpcException(new Status(StatusCode.Internal, "Additional data after the message received."));
            if (result.IsCompleted)
                return message;
        }
    }

    private bool TryCut(ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> payload, out bool compressed)
    {
        payload = default;
        compressed = false;
        if (buffer.Length < HeaderBytes)
            return false;

        Span<byte> header = stackalloc byte[HeaderBytes];
        buffer.Slice(0, HeaderBytes).CopyTo(header);
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        // The length is judged before the bytes arrive: nobody makes this process buffer gigabytes.
        if (length > (uint)(maxMessageBytes ?? int.MaxValue))
            throw new RpcException(new Status(StatusCode.ResourceExhausted, TooLarge));
        compressed = header[0] switch
        {
            0 => false,
            1 when encoding == GrpcProtocol.Identity => throw new RpcException(
                new Status(StatusCode.Internal, "A message is marked as compressed, but the stream has no grpc-encoding.")),
            1 => true,
            _ => throw new RpcException(new Status(StatusCode.Internal, "Unexpected compressed flag value in message header.")),
        };
        if (buffer.Length - HeaderBytes < length)
            return false;

        payload = buffer.Slice(HeaderBytes, length);
        return true;
    }

    [SuppressMessage("Design", "CA1031", Justification = "Whatever the bytes make a deserializer throw is the peer's fault, not ours.")]
    private T Deserialize<T>(ReadOnlySequence<byte> payload, bool compressed, Func<DeserializationContext, T> deserialize)
        where T : class
    {
        using var unpacked = compressed ? new PooledBuffer() : null;
        if (unpacked is not null)
        {
            MessageCompression.Decompress(payload, maxMessageBytes, unpacked);
            _payload = new ReadOnlySequence<byte>(unpacked.WrittenMemory);
        }
        else
        {
            _payload = payload;
        }

        try
        {
            return deserialize(this) ?? throw new InvalidOperationException("The deserializer returned null.");
        }
        catch (Exception exception)
        {
            throw new RpcException(new Status(StatusCode.Internal, "The message cannot be deserialized.", exception));
        }
        finally
        {
            _payload = default;
        }
    }
}
