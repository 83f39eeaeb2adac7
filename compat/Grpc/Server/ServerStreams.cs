using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Server;

/// <summary>The messages a caller streams in.</summary>
internal sealed class ServerStreamReader<T>(HttpServerCallContext call, MessageReader reader, Marshaller<T> marshaller) : IAsyncStreamReader<T>
    where T : class
{
    private T? _current;
    private bool _ended;

    public T Current => _current ?? throw new InvalidOperationException("There is no current message: call MoveNext first.");

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (_ended)
            return false;
        using var linked = cancellationToken.CanBeCanceled && cancellationToken != call.CancellationToken
            ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, call.CancellationToken)
            : null;
        _current = await reader.ReadAsync(marshaller.ContextualDeserializer, linked?.Token ?? call.CancellationToken).ConfigureAwait(false);
        _ended = _current is null;
        return !_ended;
    }
}

/// <summary>The messages streamed out to a caller: each is flushed at once unless its options say otherwise.</summary>
internal sealed class ServerStreamWriter<T>(HttpServerCallContext call, MessageWriter writer, Marshaller<T> marshaller) : IServerStreamWriter<T>
    where T : class
{
    private int _writing;

    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (Interlocked.Exchange(ref _writing, 1) == 1)
            throw new InvalidOperationException("The message cannot be written: the previous write is still in progress.");
        try
        {
            using var linked = cancellationToken.CanBeCanceled && cancellationToken != call.CancellationToken
                ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, call.CancellationToken)
                : null;
            await call.WriteMessageAsync(
                message,
                writer,
                marshaller.ContextualSerializer,
                WriteOptions ?? call.WriteOptions,
                flush: true,
                linked?.Token ?? call.CancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }
    }
}
