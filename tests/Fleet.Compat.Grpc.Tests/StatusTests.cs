using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Status = Grpc.Core.Status;

namespace Fleet.Compat.Grpc.Tests;

public sealed class StatusTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<StatusCode> Failures => [.. System.Enum.GetValues<StatusCode>().Where(code => code != StatusCode.OK)];

    [Theory(Timeout = TestLimits.Milliseconds)]
    [MemberData(nameof(Failures))]
    public async Task Every_status_arrives_with_its_text(StatusCode code)
    {
        await using var server = await EchoServer.StartAsync();
        const string Detail = "100 % 실패\r\n\tof /it\0";

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { FailWith = (int)code, FailDetail = Detail }, cancellationToken: Token));

        Assert.Equal(new Status(code, Detail), exception.Status);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Stream_may_fail_after_its_messages()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Repeat(new EchoRequest { Repeat = 3, FailWith = (int)StatusCode.DataLoss }, cancellationToken: Token);
        for (var i = 0; i < 3; i++)
            Assert.True(await call.ResponseStream.MoveNext(Token));

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Token));
        Assert.Equal(StatusCode.DataLoss, exception.StatusCode);
        Assert.Equal("asked", call.GetTrailers().GetValue("x-reason"));
        await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Token));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_stream_that_the_server_ends_early_reports_the_servers_status()
    {
        await using var server = await EchoServer.StartAsync();

        using var call = server.Client.Collect(cancellationToken: Token);
        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await call.RequestStream.WriteAsync(new EchoRequest { FailWith = (int)StatusCode.FailedPrecondition }, Token);
            while (true)
                await call.RequestStream.WriteAsync(new EchoRequest { Text = new string('x', 10_000) }, Token);
        });

        Assert.Equal(StatusCode.FailedPrecondition, exception.StatusCode);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Unhandled_exception_is_unknown_and_tells_nothing()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Throw = true }, cancellationToken: Token));

        Assert.Equal(StatusCode.Unknown, exception.StatusCode);
        Assert.DoesNotContain("secret", exception.Status.Detail, StringComparison.Ordinal);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Unhandled_exception_is_shown_where_the_server_allows_it()
    {
        await using var server = await EchoServer.StartAsync(options => options.EnableDetailedErrors = true);

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Throw = true }, cancellationToken: Token));

        Assert.Contains("a secret of the implementation", exception.Status.Detail, StringComparison.Ordinal);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Method_that_nobody_implements_is_unimplemented()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.MissingAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(StatusCode.Unimplemented, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Service_may_set_a_status_without_throwing()
    {
        await using var server = await EchoServer.StartAsync(map: app => app.MapGrpcService<QuietFailure>());

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(new Status(StatusCode.OutOfRange, "quietly"), exception.Status);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Trailer_that_HTTP_cannot_carry_ends_in_a_status_all_the_same()
    {
        await using var server = await EchoServer.StartAsync(map: app => app.MapGrpcService<BadTrailer>());

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(StatusCode.Internal, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Header_that_HTTP_cannot_carry_fails_the_call()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest(), new Metadata { { "x-text", "line\r\nx-injected: yes" } }, cancellationToken: Token));

        Assert.Equal(StatusCode.Internal, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Rich_errors_arrive_with_their_details()
    {
        await using var server = await EchoServer.StartAsync(map: app => app.MapGrpcService<RichFailure>());

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));
        var status = exception.GetRpcStatus();

        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
        Assert.NotNull(status);
        Assert.Equal("queue full", status.Message);
        Assert.Equal(Duration.FromTimeSpan(TimeSpan.FromSeconds(3)), status.GetDetail<Duration>());
        Assert.Null(status.GetDetail<Timestamp>());
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Refused_connection_is_unavailable()
    {
        using var channel = GrpcChannel.ForAddress("http://127.0.0.1:1");
        var client = new Echo.EchoClient(channel);

        var unary = await Assert.ThrowsAsync<RpcException>(async () => await client.SayAsync(new EchoRequest(), cancellationToken: Token));
        using var duplex = client.Chat(cancellationToken: Token);
        var write = await Assert.ThrowsAsync<RpcException>(() => duplex.RequestStream.WriteAsync(new EchoRequest(), Token));

        Assert.Equal(StatusCode.Unavailable, unary.StatusCode);
        Assert.Equal(StatusCode.Unavailable, write.StatusCode);
        await Assert.ThrowsAsync<RpcException>(() => duplex.ResponseHeadersAsync);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Server_that_dies_in_mid_stream_is_unavailable_or_cancelled_but_never_well()
    {
        var server = await EchoServer.StartAsync(services: services => services.Configure<Microsoft.Extensions.Hosting.HostOptions>(
            options => options.ShutdownTimeout = TimeSpan.FromMilliseconds(1)));

        using var channel = GrpcChannel.ForAddress(server.Address);
        using var call = new Echo.EchoClient(channel).Repeat(new EchoRequest { Repeat = 1, Hang = true }, cancellationToken: Token);
        Assert.True(await call.ResponseStream.MoveNext(Token));
        await server.DisposeAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Token));
        Assert.Contains(exception.StatusCode, new[] { StatusCode.Unavailable, StatusCode.Cancelled, StatusCode.Internal });
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData(400, StatusCode.Internal)]
    [InlineData(431, StatusCode.Internal)]
    [InlineData(401, StatusCode.Unauthenticated)]
    [InlineData(403, StatusCode.PermissionDenied)]
    [InlineData(404, StatusCode.Unimplemented)]
    [InlineData(429, StatusCode.Unavailable)]
    [InlineData(500, StatusCode.Unknown)]
    [InlineData(502, StatusCode.Unavailable)]
    [InlineData(503, StatusCode.Unavailable)]
    [InlineData(504, StatusCode.Unavailable)]
    [InlineData(200, StatusCode.Cancelled)]
    public async Task Answer_that_is_not_grpc_becomes_a_status(int httpStatus, StatusCode expected)
    {
        await using var server = await EchoServer.StartAsync(map: app => app.Run(context =>
        {
            context.Response.StatusCode = httpStatus;
            return context.Response.WriteAsync("<html>", Token);
        }));

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(expected, exception.StatusCode);
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("", StatusCode.Cancelled)]
    [InlineData("99", StatusCode.Unknown)]
    [InlineData("nonsense", StatusCode.Cancelled)]
    [InlineData("0", StatusCode.Internal)] // well, but without the message of a unary call
    public async Task Answer_with_a_strange_end_becomes_a_status(string grpcStatus, StatusCode expected)
    {
        await using var server = await EchoServer.StartAsync(map: app => app.Run(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.FlushAsync(Token);
            if (grpcStatus.Length > 0)
                context.Response.AppendTrailer("grpc-status", grpcStatus);
        }));

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(expected, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Message_that_is_cut_off_or_garbage_is_internal()
    {
        foreach (var body in new byte[][] { [0, 0, 0, 0, 9, 1], [7, 0, 0, 0, 0], [0, 0, 0, 0, 2, 0xff, 0xff] })
        {
            await using var server = await EchoServer.StartAsync(map: app => app.Run(async context =>
            {
                context.Response.ContentType = "application/grpc";
                await context.Response.Body.WriteAsync(body, Token);
                context.Response.AppendTrailer("grpc-status", "0");
            }));

            var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));

            Assert.Equal(StatusCode.Internal, exception.StatusCode);
        }
    }

    private sealed class QuietFailure : Echo.EchoBase
    {
        public override Task<EchoReply> Say(EchoRequest request, ServerCallContext context)
        {
            context.Status = new Status(StatusCode.OutOfRange, "quietly");
            return Task.FromResult(new EchoReply());
        }
    }

    private sealed class BadTrailer : Echo.EchoBase
    {
        public override Task<EchoReply> Say(EchoRequest request, ServerCallContext context)
        {
            context.ResponseTrailers.Add("x-text", "다섯\n");
            return Task.FromResult(new EchoReply());
        }
    }

    private sealed class RichFailure : Echo.EchoBase
    {
        public override Task<EchoReply> Say(EchoRequest request, ServerCallContext context) => throw new Google.Rpc.Status
        {
            Code = (int)StatusCode.ResourceExhausted,
            Message = "queue full",
            Details = { Any.Pack(Duration.FromTimeSpan(TimeSpan.FromSeconds(3))) },
        }.ToRpcException();
    }
}
