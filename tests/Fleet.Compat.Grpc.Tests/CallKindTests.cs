using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fleet.Compat.Grpc.Tests;

public sealed class CallKindTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Unary_call_returns_what_the_service_answers()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.SayAsync(new EchoRequest { Text = "안녕", Payload = ByteString.CopyFrom(1, 2, 3) }, cancellationToken: Token);
        var reply = await call;

        Assert.Equal("안녕", reply.Text);
        Assert.Equal([1, 2, 3], reply.Payload.ToByteArray());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Blocking_unary_call_returns_what_the_service_answers()
    {
        await using var server = await EchoServer.StartAsync();

        var reply = await Task.Run(() => server.Client.Say(new EchoRequest { Text = "blocking" }, cancellationToken: Token), Token);

        Assert.Equal("blocking", reply.Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Empty_message_travels()
    {
        await using var server = await EchoServer.StartAsync();

        var collected = server.Client.Collect(cancellationToken: Token);
        await collected.RequestStream.CompleteAsync();

        Assert.Equal(0, (await collected).Count);
        Assert.Equal(string.Empty, (await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token)).Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_stream_arrives_in_order_and_ends()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Repeat(new EchoRequest { Text = "again", Repeat = 500 }, cancellationToken: Token);
        var counts = new List<int>();
        await foreach (var reply in call.ResponseStream.ReadAllAsync(Token))
            counts.Add(reply.Count);

        Assert.Equal(Enumerable.Range(1, 500), counts);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_stream_without_messages_ends_well()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Repeat(new EchoRequest(), cancellationToken: Token);

        Assert.False(await call.ResponseStream.MoveNext(Token));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Each_message_of_a_server_stream_is_sent_before_the_stream_ends()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Repeat(new EchoRequest { Text = "now", Repeat = 1, Hang = true }, cancellationToken: Token);

        Assert.True(await call.ResponseStream.MoveNext(Token));
        Assert.Equal("now", call.ResponseStream.Current.Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_stream_is_collected()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Collect(cancellationToken: Token);
        foreach (var text in new[] { "a", "b", "c" })
            await call.RequestStream.WriteAsync(new EchoRequest { Text = text }, Token);
        await call.RequestStream.CompleteAsync();

        Assert.Equal("a,b,c", (await call).Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Duplex_answers_each_message_before_the_next_is_written()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Chat(cancellationToken: Token);
        for (var i = 1; i <= 20; i++)
        {
            await call.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" }, Token);
            Assert.True(await call.ResponseStream.MoveNext(Token));
            Assert.Equal($"{i}", call.ResponseStream.Current.Text);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(Token));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Hundred_streams_run_at_once_on_one_channel()
    {
        await using var server = await EchoServer.StartAsync();

        var calls = Enumerable.Range(0, 100).Select(i => server.Client.Chat(cancellationToken: Token)).ToList();
        for (var round = 0; round < 5; round++)
        {
            for (var i = 0; i < calls.Count; i++)
                await calls[i].RequestStream.WriteAsync(new EchoRequest { Text = $"{i}/{round}" }, Token);
            for (var i = 0; i < calls.Count; i++)
            {
                Assert.True(await calls[i].ResponseStream.MoveNext(Token));
                Assert.Equal($"{i}/{round}", calls[i].ResponseStream.Current.Text);
            }
        }

        foreach (var call in calls)
        {
            await call.RequestStream.CompleteAsync();
            Assert.False(await call.ResponseStream.MoveNext(Token));
            call.Dispose();
        }
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Big_messages_pass_in_both_directions_when_the_limits_allow()
    {
        await using var server = await EchoServer.StartAsync(
            options => options.MaxReceiveMessageSize = null, channel: new GrpcChannelOptions { MaxReceiveMessageSize = null });
        var payload = new byte[40 * 1024 * 1024];
        Random.Shared.NextBytes(payload);

        var reply = await server.Client.SayAsync(new EchoRequest { Payload = UnsafeByteOperations.UnsafeWrap(payload) }, cancellationToken: Token);

        Assert.True(reply.Payload.Span.SequenceEqual(payload));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Writers_that_hint_at_more_still_deliver_everything()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Collect(cancellationToken: Token);
        call.RequestStream.WriteOptions = new WriteOptions(WriteFlags.BufferHint);
        for (var i = 0; i < 100; i++)
            await call.RequestStream.WriteAsync(new EchoRequest { Text = "x" }, Token);
        await call.RequestStream.CompleteAsync();

        Assert.Equal(100, (await call).Count);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Calls_carry_the_trace_of_their_caller()
    {
        ActivityTraceId seen = default;
        await using var server = await EchoServer.StartAsync(grpc: options => options.Interceptors.Add<TraceInterceptor>(
            (Action<ActivityTraceId>)(id => seen = id)));
        using var source = new ActivitySource("test");
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);

        using var activity = source.StartActivity("caller");
        await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token);

        Assert.NotNull(activity);
        Assert.Equal(activity.TraceId, seen);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Calls_run_in_memory_over_a_test_server()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseTestServer();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton<CallLog>();
        await using var app = builder.Build();
        app.MapGrpcService<EchoService>();
        await app.StartAsync(Token);
        using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = app.GetTestServer().CreateHandler() });
        var client = new Echo.EchoClient(channel);

        using var stream = client.Repeat(new EchoRequest { Text = "memory", Repeat = 3 }, cancellationToken: Token);
        var replies = await stream.ResponseStream.ReadAllAsync(Token).Select(reply => reply.Text).ToListAsync(Token);
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await client.SayAsync(new EchoRequest { FailWith = 5 }, cancellationToken: Token));

        Assert.Equal(["memory", "memory", "memory"], replies);
        Assert.Equal(StatusCode.NotFound, exception.StatusCode);
    }

    private sealed class TraceInterceptor(Action<ActivityTraceId> saw) : global::Grpc.Core.Interceptors.Interceptor
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            saw(Activity.Current?.TraceId ?? default);
            return continuation(request, context);
        }
    }
}
