using System.Diagnostics;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Compat.Grpc.Tests;

public sealed class DeadlineAndCancellationTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Deadline_ends_a_hanging_call_on_both_sides()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Hang = true }, deadline: DateTime.UtcNow.AddMilliseconds(300), cancellationToken: Token));

        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        await server.Log.Cancelled.Task.WaitAsync(Patience, Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_ends_a_late_call_itself_when_the_client_keeps_no_clock()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(RawHttp2.Request(
            server.Address, "/fleet.compat.tests.Echo/Say", RawHttp2.Frame(new EchoRequest { Hang = true }), ("grpc-timeout", "200m")), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("4", RawHttp2.Status(response));
        await server.Log.Cancelled.Task.WaitAsync(Patience, Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_answers_the_deadline_even_when_the_handler_does_not_listen()
    {
        var release = new TaskCompletionSource();
        await using var server = await EchoServer.StartAsync(
            services: services => services.AddSingleton(release), map: app => app.MapGrpcService<DeafService>());
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(RawHttp2.Request(
            server.Address, "/fleet.compat.tests.Echo/Say", RawHttp2.Frame(new EchoRequest()), ("grpc-timeout", "200m")), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("4", RawHttp2.Status(response));
        Assert.False(release.Task.IsCompleted);
        release.SetResult();
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Service_sees_the_deadline_of_the_caller()
    {
        await using var server = await EchoServer.StartAsync();
        var deadline = DateTime.UtcNow.AddMinutes(5);

        await server.Client.SayAsync(new EchoRequest(), deadline: deadline, cancellationToken: Token);

        Assert.Equal(deadline, server.Log.Deadline, TimeSpan.FromSeconds(2));
        await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token);
        Assert.Equal(DateTime.MaxValue, server.Log.Deadline);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Deadline_in_the_past_fails_without_a_request()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Hang = true }, deadline: DateTime.UtcNow.AddSeconds(-1), cancellationToken: Token));

        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Deadline_far_beyond_the_reach_of_a_timer_is_no_problem()
    {
        await using var server = await EchoServer.StartAsync();

        await server.Client.SayAsync(new EchoRequest(), deadline: DateTime.UtcNow.AddYears(50), cancellationToken: Token);
        await server.Client.SayAsync(new EchoRequest(), deadline: DateTime.MaxValue, cancellationToken: Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Cancelled_unary_call_cancels_the_service()
    {
        await using var server = await EchoServer.StartAsync();
        using var cancel = new CancellationTokenSource();

        var call = server.Client.SayAsync(new EchoRequest { Hang = true }, cancellationToken: cancel.Token);
        await server.Log.Hanging.Task.WaitAsync(Patience, Token);
        await cancel.CancelAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await call);
        Assert.Equal(StatusCode.Cancelled, exception.StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        await server.Log.Cancelled.Task.WaitAsync(Patience, Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Disposed_stream_cancels_the_service()
    {
        await using var server = await EchoServer.StartAsync();

        using (var call = server.Client.Repeat(new EchoRequest { Repeat = 1, Hang = true }, cancellationToken: Token))
        {
            Assert.True(await call.ResponseStream.MoveNext(Token));
            await server.Log.Hanging.Task.WaitAsync(Patience, Token);
        }

        await server.Log.Cancelled.Task.WaitAsync(Patience, Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Service_that_streams_without_end_hears_that_the_caller_is_gone()
    {
        await using var server = await EchoServer.StartAsync();

        using (var call = server.Client.Repeat(new EchoRequest { Text = new string('x', 1000), Repeat = int.MaxValue }, cancellationToken: Token))
            Assert.True(await call.ResponseStream.MoveNext(Token));

        Assert.IsType<OperationCanceledException>(await server.Log.WriteFailed.Task.WaitAsync(Patience, Token), exactMatch: false);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Slow_reader_stops_the_writer_and_the_deadline_frees_it()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Repeat(
            new EchoRequest { Text = new string('x', 100_000), Repeat = int.MaxValue }, deadline: DateTime.UtcNow.AddSeconds(1), cancellationToken: Token);
        await server.Log.WriteFailed.Task.WaitAsync(Patience, Token);

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(Token))
            {
            }
        });
        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_stream_cancelled_half_way_cancels_the_service()
    {
        await using var server = await EchoServer.StartAsync();
        using var cancel = new CancellationTokenSource();

        using var call = server.Client.Collect(cancellationToken: cancel.Token);
        await call.RequestStream.WriteAsync(new EchoRequest { Hang = true }, Token);
        await server.Log.Hanging.Task.WaitAsync(Patience, Token);
        await cancel.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        await server.Log.Cancelled.Task.WaitAsync(Patience, Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Cancelled_read_ends_the_call()
    {
        await using var server = await EchoServer.StartAsync();
        using var cancel = new CancellationTokenSource();

        using var call = server.Client.Chat(cancellationToken: Token);
        var read = call.ResponseStream.MoveNext(cancel.Token);
        await cancel.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => read)).StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Channel_may_throw_the_exception_that_dotnet_expects_of_cancellation()
    {
        await using var server = await EchoServer.StartAsync(channel: new GrpcChannelOptions { ThrowOperationCanceledOnCancellation = true });
        using var cancel = new CancellationTokenSource();
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: cancel.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Hang = true }, deadline: DateTime.UtcNow.AddMilliseconds(100), cancellationToken: Token));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Disposed_channel_ends_its_calls()
    {
        await using var server = await EchoServer.StartAsync();

        var call = server.Client.SayAsync(new EchoRequest { Hang = true }, cancellationToken: Token);
        await server.Log.Hanging.Task.WaitAsync(Patience, Token);
        server.Channel.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Throws<ObjectDisposedException>(() => server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Call_made_for_another_call_takes_over_its_deadline_and_cancellation()
    {
        await using var inner = await EchoServer.StartAsync();
        await using var outer = await EchoServer.StartAsync(
            services: services =>
            {
                services.AddGrpcClient<Echo.EchoClient>(options => options.Address = inner.Address).EnableCallContextPropagation();
            },
            map: app => app.MapGrpcService<ForwardingService>());

        var started = Stopwatch.GetTimestamp();
        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await outer.Client.SayAsync(new EchoRequest { Hang = true }, deadline: DateTime.UtcNow.AddMilliseconds(500), cancellationToken: Token));

        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        await inner.Log.Cancelled.Task.WaitAsync(Patience, Token);
        Assert.True(Stopwatch.GetElapsedTime(started) < Patience);
        Assert.NotEqual(DateTime.MaxValue, inner.Log.Deadline);
    }

    private sealed class DeafService(TaskCompletionSource release) : Echo.EchoBase
    {
        public override async Task<EchoReply> Say(EchoRequest request, ServerCallContext context)
        {
            await release.Task;
            return new EchoReply();
        }
    }

    private sealed class ForwardingService(Echo.EchoClient client) : Echo.EchoBase
    {
        public override async Task<EchoReply> Say(EchoRequest request, ServerCallContext context) => await client.SayAsync(request);
    }
}
