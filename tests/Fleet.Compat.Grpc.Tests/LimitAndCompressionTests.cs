using System.IO.Compression;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Fleet.Compat.Grpc.Tests;

public sealed class LimitAndCompressionTests
{
    private const string Say = "/fleet.compat.tests.Echo/Say";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Request_over_four_megabytes_is_refused_by_default()
    {
        await using var server = await EchoServer.StartAsync();
        var payload = ByteString.CopyFrom(new byte[(4 * 1024 * 1024) + 1]);

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest { Payload = payload }, cancellationToken: Token));

        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
        await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Response_over_the_servers_limit_is_refused()
    {
        await using var server = await EchoServer.StartAsync(options => options.MaxSendMessageSize = 1000);

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Text = new string('x', 2000) }, cancellationToken: Token));

        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_keeps_its_own_limits()
    {
        await using var server = await EchoServer.StartAsync(channel: new GrpcChannelOptions { MaxReceiveMessageSize = 1000, MaxSendMessageSize = 1500 });

        var received = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Text = new string('x', 1200) }, cancellationToken: Token));
        var sent = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { Text = new string('x', 2000) }, cancellationToken: Token));
        using var stream = server.Client.Collect(cancellationToken: Token);
        var streamed = await Assert.ThrowsAsync<RpcException>(() => stream.RequestStream.WriteAsync(new EchoRequest { Text = new string('x', 2000) }, Token));

        Assert.Equal(StatusCode.ResourceExhausted, received.StatusCode);
        Assert.Equal(StatusCode.ResourceExhausted, sent.StatusCode);
        Assert.Equal(StatusCode.ResourceExhausted, streamed.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Compressed_request_is_understood()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        var body = RawHttp2.Frame(1, Gzip(new EchoRequest { Text = new string('x', 10_000) }.ToByteArray()));

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, Say, body, ("grpc-encoding", "gzip")), Token);
        var reply = EchoReply.Parser.ParseFrom((await response.Content.ReadAsByteArrayAsync(Token)).AsSpan(5));

        Assert.Equal("0", RawHttp2.Status(response));
        Assert.Equal(10_000, reply.Text.Length);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Response_is_compressed_for_a_client_that_accepts_it_and_for_no_other()
    {
        await using var server = await EchoServer.StartAsync(options => options.ResponseCompressionAlgorithm = "gzip");
        using var client = RawHttp2.Client();
        var body = RawHttp2.Frame(new EchoRequest { Text = new string('x', 10_000) });

        using var plain = await client.SendAsync(RawHttp2.Request(server.Address, Say, body), Token);
        using var compressed = await client.SendAsync(RawHttp2.Request(server.Address, Say, body, ("grpc-accept-encoding", "identity, gzip")), Token);

        Assert.True((await plain.Content.ReadAsByteArrayAsync(Token)).Length > 10_000);
        Assert.InRange((await compressed.Content.ReadAsByteArrayAsync(Token)).Length, 6, 500);
        Assert.Equal("gzip", RawHttp2.Field(compressed, "grpc-encoding"));
        Assert.Equal(10_000, (await server.Client.SayAsync(new EchoRequest { Text = new string('x', 10_000) }, cancellationToken: Token)).Text.Length);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Small_message_that_unpacks_beyond_the_limit_is_refused()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        var body = RawHttp2.Frame(1, Gzip(new byte[100 * 1024 * 1024]));

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, Say, body, ("grpc-encoding", "gzip")), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("8", RawHttp2.Status(response));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Unknown_encoding_is_unimplemented_and_says_what_is_known()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(
            RawHttp2.Request(server.Address, Say, RawHttp2.Frame(new EchoRequest()), ("grpc-encoding", "zstd")), Token);

        Assert.Equal("12", RawHttp2.Status(response));
        Assert.Contains("gzip", RawHttp2.Field(response, "grpc-accept-encoding"), StringComparison.Ordinal);
    }

    private static byte[] Gzip(byte[] payload)
    {
        using var buffer = new MemoryStream();
        using (var gzip = new GZipStream(buffer, CompressionLevel.Fastest))
            gzip.Write(payload);
        return buffer.ToArray();
    }
}
