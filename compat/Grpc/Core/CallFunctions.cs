namespace Grpc.Core;

/// <summary>The functions behind a running call, with the state they are handed.</summary>
internal readonly struct CallFunctions(
    Func<object, Task<Metadata>> responseHeaders,
    Func<object, Status> status,
    Func<object, Metadata> trailers,
    Action<object> dispose,
    object? state)
{
    public Task<Metadata> ResponseHeaders() => responseHeaders(state!);

    public Status Status() => status(state!);

    public Metadata Trailers() => trailers(state!);

    public void Dispose() => dispose(state!);
}
