namespace Grpc.Core;

/// <summary>A running call: one request, many responses.</summary>
public sealed class AsyncServerStreamingCall<TResponse> : IDisposable
{
    private readonly CallFunctions _functions;

    public AsyncServerStreamingCall(
        IAsyncStreamReader<TResponse> responseStream,
        Task<Metadata> responseHeadersAsync,
        Func<Status> getStatusFunc,
        Func<Metadata> getTrailersFunc,
        Action disposeAction)
        : this(
            responseStream,
            new CallFunctions(_ => responseHeadersAsync, _ => getStatusFunc(), _ => getTrailersFunc(), _ => disposeAction(), null))
    {
    }

    public AsyncServerStreamingCall(
        IAsyncStreamReader<TResponse> responseStream,
        Func<object, Task<Metadata>> responseHeadersAsync,
        Func<object, Status> getStatusFunc,
        Func<object, Metadata> getTrailersFunc,
        Action<object> disposeAction,
        object state)
        : this(responseStream, new CallFunctions(responseHeadersAsync, getStatusFunc, getTrailersFunc, disposeAction, state))
    {
    }

    private AsyncServerStreamingCall(IAsyncStreamReader<TResponse> responseStream, CallFunctions functions)
    {
        ResponseStream = responseStream;
        _functions = functions;
    }

    public IAsyncStreamReader<TResponse> ResponseStream { get; }

    public Task<Metadata> ResponseHeadersAsync => _functions.ResponseHeaders();


    /// <summary>Only once the call has ended.</summary>
    public Status GetStatus() => _functions.Status();

    /// <summary>Only once the call has ended.</summary>
    public Metadata GetTrailers() => _functions.Trailers();

    /// <summary>Ends the call: one that still runs is cancelled.</summary>
    public void Dispose() => _functions.Dispose();
}
