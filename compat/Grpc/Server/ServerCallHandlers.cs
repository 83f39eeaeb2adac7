using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Wire;

namespace Grpc.Server;

internal sealed class UnaryHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    ServerOptions options,
    Func<TService, TRequest, ServerCallContext, Task<TResponse>> invoke)
    : ServerCallHandler<TService, TRequest, TResponse>(method, options)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(
        HttpServerCallContext call, MessageReader reader, MessageWriter writer, IReadOnlyList<Interceptor> interceptors)
    {
        UnaryServerMethod<TRequest, TResponse> run = (request, context) =>
            WithServiceAsync(context, service => invoke(service, request, context));
        for (var i = interceptors.Count - 1; i >= 0; i--)
        {
            var (interceptor, next) = (interceptors[i], run);
            run = (request, context) => interceptor.UnaryServerHandler(request, context, next);
        }

        var request = await ReadRequestAsync(call, reader).ConfigureAwait(false);
        await WriteResponseAsync(call, writer, await run(request, call).ConfigureAwait(false)).ConfigureAwait(false);
    }
}

internal sealed class ClientStreamingHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    ServerOptions options,
    Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>> invoke)
    : ServerCallHandler<TService, TRequest, TResponse>(method, options)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(
        HttpServerCallContext call, MessageReader reader, MessageWriter writer, IReadOnlyList<Interceptor> interceptors)
    {
        ClientStreamingServerMethod<TRequest, TResponse> run = (requests, context) =>
            WithServiceAsync(context, service => invoke(service, requests, context));
        for (var i = interceptors.Count - 1; i >= 0; i--)
        {
            var (interceptor, next) = (interceptors[i], run);
            run = (requests, context) => interceptor.ClientStreamingServerHandler(requests, context, next);
        }

        var stream = new ServerStreamReader<TRequest>(call, reader, Method.RequestMarshaller);
        await WriteResponseAsync(call, writer, await run(stream, call).ConfigureAwait(false)).ConfigureAwait(false);
    }
}

internal sealed class ServerStreamingHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    ServerOptions options,
    Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task> invoke)
    : ServerCallHandler<TService, TRequest, TResponse>(method, options)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(
        HttpServerCallContext call, MessageReader reader, MessageWriter writer, IReadOnlyList<Interceptor> interceptors)
    {
        ServerStreamingServerMethod<TRequest, TResponse> run = (request, responses, context) =>
            WithServiceAsync(context, async service =>
            {
                await invoke(service, request, responses, context).ConfigureAwait(false);
                return true;
            });
        for (var i = interceptors.Count - 1; i >= 0; i--)
        {
            var (interceptor, next) = (interceptors[i], run);
            run = (request, responses, context) => interceptor.ServerStreamingServerHandler(request, responses, context, next);
        }

        var request = await ReadRequestAsync(call, reader).ConfigureAwait(false);
        await run(request, new ServerStreamWriter<TResponse>(call, writer, Method.ResponseMarshaller), call).ConfigureAwait(false);
    }
}

internal sealed class DuplexStreamingHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    ServerOptions options,
    Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task> invoke)
    : ServerCallHandler<TService, TRequest, TResponse>(method, options)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override Task InvokeAsync(
        HttpServerCallContext call, MessageReader reader, MessageWriter writer, IReadOnlyList<Interceptor> interceptors)
    {
        DuplexStreamingServerMethod<TRequest, TResponse> run = (requests, responses, context) =>
            WithServiceAsync(context, async service =>
            {
                await invoke(service, requests, responses, context).ConfigureAwait(false);
                return true;
            });
        for (var i = interceptors.Count - 1; i >= 0; i--)
        {
            var (interceptor, next) = (interceptors[i], run);
            run = (requests, responses, context) => interceptor.DuplexStreamingServerHandler(requests, responses, context, next);
        }

        return run(
            new ServerStreamReader<TRequest>(call, reader, Method.RequestMarshaller),
            new ServerStreamWriter<TResponse>(call, writer, Method.ResponseMarshaller),
            call);
    }
}
