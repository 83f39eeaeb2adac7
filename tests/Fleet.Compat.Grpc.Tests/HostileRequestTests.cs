using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fleet.Compat.Grpc.Tests;

public sealed class HostileRequestTests
{
    private const string Say = "/fleet.compat.tests.Echo/Say";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, byte[], string> BadBodies => new()
    {
        { "no message", [], "13" },
        { "half a header", [0, 0, 0], "13" },
        { "header without its message", [0, 0, 0, 0, 9], "13" },
        { "truncated message", [0, 0, 0, 0, 9, 1, 2, 3], "13" },
        { "compressed without an encoding", [1, 0, 0, 0, 1, 1], "13" },
        { "flag out of range", [2, 0, 0, 0, 0], "13" },
        { "two gigabytes announced", [0, 0x7f, 0xff, 0xff, 0xff], "8" },
        { "four gigabytes announced", [0, 0xff, 0xff, 0xff, 0xff], "8" },
        { "not protobuf", [0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff], "13" },
        { "invalid field number", [0, 0, 0, 0, 2, 0x00, 0x01], "13" },
        { "endless nesting", [0, 0, 0, 0, 3, 0x0a, 0xff, 0x01], "13" },
        { "two messages in a unary call", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "13" },
    };

    [Theory(Timeout = TestLimits.Milliseconds)]
    [MemberData(nameof(BadBodies))]
    public async Task Malformed_body_is_answered_and_the_server_lives(string what, byte[] body, string status)
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, Say, body), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.True(RawHttp2.Status(response) == status, $"{what}: grpc-status {RawHttp2.Status(response)}, expected {status}");
        Assert.Equal("alive", (await server.Client.SayAsync(new EchoRequest { Text = "alive" }, cancellationToken: Token)).Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Random_bytes_are_answered_on_every_kind_of_method()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        var random = new Random(20261120);

        foreach (var method in new[] { "Say", "Repeat", "Collect", "Chat" })
        {
            for (var i = 0; i < 50; i++)
            {
                var body = new byte[random.Next(64)];
                random.NextBytes(body);
                using var response = await client.SendAsync(RawHttp2.Request(server.Address, $"/fleet.compat.tests.Echo/{method}", body), Token);
                await response.Content.ReadAsByteArrayAsync(Token);
                Assert.NotNull(RawHttp2.Status(response));
            }
        }

        Assert.Equal("alive", (await server.Client.SayAsync(new EchoRequest { Text = "alive" }, cancellationToken: Token)).Text);
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    [InlineData("application/grpcx")]
    [InlineData("")]
    public async Task Other_content_types_are_not_supported(string contentType)
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(
            RawHttp2.Request(server.Address, Say, RawHttp2.Frame(new EchoRequest()), ("content-type", contentType)), Token);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("application/grpc")]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc;charset=utf-8")]
    public async Task Content_types_of_grpc_are_served(string contentType)
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(
            RawHttp2.Request(server.Address, Say, RawHttp2.Frame(new EchoRequest()), ("content-type", contentType)), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("0", RawHttp2.Status(response));
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("/fleet.compat.tests.Echo/Nothing")]
    [InlineData("/no.such.Service/Method")]
    public async Task Unknown_methods_and_services_are_unimplemented(string path)
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, path, RawHttp2.Frame(new EchoRequest())), Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("12", RawHttp2.Status(response));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Get_of_a_method_is_not_allowed()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server.Address, Say))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        using var response = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
    }

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("nonsense")]
    [InlineData("-1S")]
    [InlineData("999999999S")]
    [InlineData("5")]
    [InlineData("S")]
    public async Task Malformed_timeout_is_no_deadline(string timeout)
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();

        using var response = await client.SendAsync(
            RawHttp2.Request(server.Address, Say, RawHttp2.Frame(new EchoRequest()), ("grpc-timeout", timeout)), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("0", RawHttp2.Status(response));
        Assert.Equal(DateTime.MaxValue, server.Log.Deadline);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Binary_metadata_that_is_not_base64_fails_that_call_only()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        var body = RawHttp2.Frame(new EchoRequest { ReflectMetadata = true });

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, Say, body, ("x-text", "t"), ("x-bytes-bin", "%%%")), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("13", RawHttp2.Status(response));
        Assert.Equal("alive", (await server.Client.SayAsync(new EchoRequest { Text = "alive" }, cancellationToken: Token)).Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Binary_metadata_may_lack_its_padding_and_come_several_in_one()
    {
        await using var server = await EchoServer.StartAsync();
        using var client = RawHttp2.Client();
        var body = RawHttp2.Frame(new EchoRequest { ReflectMetadata = true });

        using var response = await client.SendAsync(RawHttp2.Request(server.Address, Say, body, ("x-text", "t"), ("x-bytes-bin", "AQ,/w")), Token);
        await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal("0", RawHttp2.Status(response));
        Assert.Equal("/w==", RawHttp2.Field(response, "x-trailing-bytes-bin"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Noise_on_the_socket_does_not_hurt_other_connections()
    {
        await using var server = await EchoServer.StartAsync();
        var random = new Random(7);

        for (var i = 0; i < 10; i++)
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, server.Address.Port, Token);
            var noise = new byte[512];
            random.NextBytes(noise);
            await socket.GetStream().WriteAsync(i % 2 == 0 ? [.. Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), .. noise] : noise, Token);
        }

        Assert.Equal("alive", (await server.Client.SayAsync(new EchoRequest { Text = "alive" }, cancellationToken: Token)).Text);
    }
}
