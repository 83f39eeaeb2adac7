using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Compat.Grpc.Tests;

public sealed class InterceptorTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_interceptors_wrap_all_call_kinds_in_order()
    {
        var seen = new List<string>();
        await using var server = await EchoServer.StartAsync(options =>
        {
            options.Interceptors.Add<Recorder>("outer", seen);
            options.Interceptors.Add<Recorder>("inner", seen);
        });

        await CallEveryKindAsync(server.Client);

        Assert.Equal(
            ["outer unary", "inner unary", "outer server", "inner server", "outer client", "inner client", "outer duplex", "inner duplex"], seen);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_interceptors_wrap_all_call_kinds_in_order()
    {
        var seen = new List<string>();
        await using var server = await EchoServer.StartAsync();
        var client = new Echo.EchoClient(server.Channel.Intercept(new Recorder("outer", seen), new Recorder("inner", seen)));

        await CallEveryKindAsync(client);

        Assert.Equal(
            ["outer unary", "inner unary", "outer server", "inner server", "outer client", "inner client", "outer duplex", "inner duplex"], seen);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Interceptor_from_the_container_is_used_and_may_refuse_a_call()
    {
        await using var server = await EchoServer.StartAsync(
            options => options.Interceptors.Add<Gate>(), services => services.AddSingleton(new Gate(open: false)));

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(StatusCode.PermissionDenied, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Options_of_one_service_add_to_the_global_ones_and_win_over_them()
    {
        var seen = new List<string>();
        await using var server = await EchoServer.StartAsync(
            options =>
            {
                options.MaxReceiveMessageSize = 100;
                options.Interceptors.Add<Recorder>("all", seen);
            },
            services => services.Configure<global::Grpc.AspNetCore.Server.GrpcServiceOptions<EchoService>>(options =>
            {
                options.MaxReceiveMessageSize = null;
                options.Interceptors.Add<Recorder>("own", seen);
            }));

        await server.Client.SayAsync(new EchoRequest { Text = new string('x', 1000) }, cancellationToken: Token);

        Assert.Equal(["all unary", "own unary"], seen);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Function_may_replace_the_headers_of_every_call()
    {
        await using var server = await EchoServer.StartAsync();
        var client = new Echo.EchoClient(server.Channel.Intercept(headers =>
        {
            headers.Add("x-text", "added");
            headers.Add("x-bytes-bin", [1]);
            return headers;
        }));

        using var call = client.SayAsync(new EchoRequest { ReflectMetadata = true }, cancellationToken: Token);
        await call;

        Assert.Equal("added", call.GetTrailers().GetValue("x-trailing-text"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Service_and_its_disposal_belong_to_the_call()
    {
        var disposed = 0;
        await using var server = await EchoServer.StartAsync(
            services: services => services.AddSingleton<Action>(() => Interlocked.Increment(ref disposed)),
            map: app => app.MapGrpcService<DisposableService>());

        await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token);
        await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token);

        Assert.Equal(2, disposed);
    }

    private static async Task CallEveryKindAsync(Echo.EchoClient client)
    {
        await client.SayAsync(new EchoRequest(), cancellationToken: Token);
        using var stream = client.Repeat(new EchoRequest { Repeat = 1 }, cancellationToken: Token);
        while (await stream.ResponseStream.MoveNext(Token))
        {
        }

        using var collect = client.Collect(cancellationToken: Token);
        await collect.RequestStream.CompleteAsync();
        await collect;
        using var chat = client.Chat(cancellationToken: Token);
        await chat.RequestStream.CompleteAsync();
        Assert.False(await chat.ResponseStream.MoveNext(Token));
    }

    private sealed class Gate(bool open) : Interceptor
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
            open ? continuation(request, context) : throw new RpcException(new Status(StatusCode.PermissionDenied, "closed"));
    }

    private sealed class DisposableService(Action disposed) : Echo.EchoBase, IDisposable
    {
        public override Task<EchoReply> Say(EchoRequest request, ServerCallContext context) => Task.FromResult(new EchoReply());

        public void Dispose() => disposed();
    }

    private sealed class Recorder(string name, List<string> seen) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} unary");
            return continuation(request, context);
        }

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} server");
            return continuation(request, context);
        }

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            ClientInterceptorContext<TRequest, TResponse> context, AsyncClientStreamingCallContinuation<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} client");
            return continuation(context);
        }

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} duplex");
            return continuation(context);
        }

        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} unary");
            return continuation(request, context);
        }

        public override Task ServerStreamingServerHandler<TRequest, TResponse>(
            TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} server");
            return continuation(request, responseStream, context);
        }

        public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} client");
            return continuation(requestStream, context);
        }

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream,
            IServerStreamWriter<TResponse> responseStream,
            ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation)
        {
            seen.Add($"{name} duplex");
            return continuation(requestStream, responseStream, context);
        }
    }
}
