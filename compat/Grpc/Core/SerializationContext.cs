using System.Buffers;

namespace Grpc.Core;

/// <summary>Where a marshaller puts one message.</summary>
public abstract class SerializationContext
{
    public virtual void Complete(byte[] payload) => throw new NotSupportedException($"{GetType()}.{nameof(Complete)}(byte[])");

    public virtual IBufferWriter<byte> GetBufferWriter() => throw new NotSupportedException($"{GetType()}.{nameof(GetBufferWriter)}");

    public virtual void SetPayloadLength(int payloadLength) =>
        throw new NotSupportedException($"{GetType()}.{nameof(SetPayloadLength)}");

    public virtual void Complete() => throw new NotSupportedException($"{GetType()}.{nameof(Complete)}()");
}

/// <summary>Where a marshaller finds one message.</summary>
public abstract class DeserializationContext
{
    public abstract int PayloadLength { get; }

    public virtual byte[] PayloadAsNewBuffer() => throw new NotSupportedException($"{GetType()}.{nameof(PayloadAsNewBuffer)}");

    /// <summary>Valid only until the deserializer returns: the bytes are the transport's own.</summary>
    public virtual ReadOnlySequence<byte> PayloadAsReadOnlySequence() =>
        throw new NotSupportedException($"{GetType()}.{nameof(PayloadAsReadOnlySequence)}");
}
