using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Fleet.Compat.Grpc.Tests;

/// <summary>Our client against a grpc-js server.</summary>
public sealed class GrpcJsServerTests(GrpcJsPeer peer) : IAsyncLifetime
{
    private Process _node = null!;
    private GrpcChannel _channel = null!;
    private Echo.EchoClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => StartAsync("identity");

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        if (_node is null)
            return;
        _node.StandardInput.Close();
        await _node.WaitForExitAsync(CancellationToken.None);
        _node.Dispose();
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Unary_calls_are_answered()
    {
        var payload = new byte[6 * 1024 * 1024];
        Random.Shared.NextBytes(payload);

        var small = await _client.SayAsync(new EchoRequest { Text = "안녕" }, cancellationToken: Token);
        using var unlimited = GrpcChannel.ForAddress($"http://{_channel.Target}", new GrpcChannelOptions { MaxReceiveMessageSize = null });
        var big = await new Echo.EchoClient(unlimited).SayAsync(new EchoRequest { Payload = ByteString.CopyFrom(payload) }, cancellationToken: Token);

        Assert.Equal("안녕", small.Text);
        Assert.True(big.Payload.Span.SequenceEqual(payload));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Compressed_answers_are_understood()
    {
        await DisposeAsync();
        await StartAsync("gzip");

        var reply = await _client.SayAsync(new EchoRequest { Text = new string('x', 100_000) }, cancellationToken: Token);
        using var stream = _client.Repeat(new EchoRequest { Text = new string('y', 1000), Repeat = 50 }, cancellationToken: Token);
        var count = await stream.ResponseStream.ReadAllAsync(Token).CountAsync(one => one.Text.Length == 1000, Token);

        Assert.Equal(100_000, reply.Text.Length);
        Assert.Equal(50, count);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Metadata_travels_both_ways()
    {
        byte[] bytes = [0, 255, 1];

        using var call = _client.SayAsync(
            new EchoRequest { ReflectMetadata = true }, new Metadata { { "x-text", "plain text" }, { "x-bytes-bin", bytes } }, cancellationToken: Token);
        var headers = await call.ResponseHeadersAsync;
        await call;

        Assert.Equal("plain text", headers.GetValue("x-text"));
        Assert.Equal(bytes, headers.GetValueBytes("x-bytes-bin"));
        Assert.Equal("plain text", call.GetTrailers().GetValue("x-trailing-text"));
        Assert.Equal(bytes, call.GetTrailers().GetValueBytes("x-trailing-bytes-bin"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Streams_of_every_kind_work()
    {
        using var repeat = _client.Repeat(new EchoRequest { Text = "again", Repeat = 1000 }, cancellationToken: Token);
        Assert.Equal(1000, await repeat.ResponseStream.ReadAllAsync(Token).CountAsync(Token));

        using var collect = _client.Collect(cancellationToken: Token);
        foreach (var text in new[] { "a", "b", "c" })
            await collect.RequestStream.WriteAsync(new EchoRequest { Text = text }, Token);
        await collect.RequestStream.CompleteAsync();
        Assert.Equal("a,b,c", (await collect).Text);

        using var chat = _client.Chat(cancellationToken: Token);
        for (var i = 0; i < 20; i++)
        {
            await chat.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" }, Token);
            Assert.True(await chat.ResponseStream.MoveNext(Token));
            Assert.Equal($"{i}", chat.ResponseStream.Current.Text);
        }

        await chat.RequestStream.CompleteAsync();
        Assert.False(await chat.ResponseStream.MoveNext(Token));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Failures_arrive_with_code_text_and_trailers()
    {
        var unary = await Assert.ThrowsAsync<RpcException>(async () =>
            await _client.SayAsync(new EchoRequest { FailWith = 9, FailDetail = "100 % 실패\n" }, cancellationToken: Token));
        using var stream = _client.Repeat(new EchoRequest { Repeat = 2, FailWith = 15 }, cancellationToken: Token);
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        var streamed = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Token));
        var missing = await Assert.ThrowsAsync<RpcException>(async () => await _client.MissingAsync(new EchoRequest(), cancellationToken: Token));

        Assert.Equal(new Status(StatusCode.FailedPrecondition, "100 % 실패\n"), unary.Status);
        Assert.Equal("asked", unary.Trailers.GetValue("x-reason"));
        Assert.Equal(StatusCode.DataLoss, streamed.StatusCode);
        Assert.Equal(StatusCode.Unimplemented, missing.StatusCode);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Deadline_and_cancellation_reach_the_server()
    {
        var late = await Assert.ThrowsAsync<RpcException>(async () =>
            await _client.SayAsync(new EchoRequest { Hang = true }, deadline: DateTime.UtcNow.AddMilliseconds(300), cancellationToken: Token));
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        Assert.Equal("cancelled", await NextLineAsync());

        using (var stream = _client.Repeat(new EchoRequest { Repeat = 1, Hang = true }, cancellationToken: Token))
            Assert.True(await stream.ResponseStream.MoveNext(Token));
        Assert.Equal("cancelled", await NextLineAsync());
    }

    private async ValueTask StartAsync(string compression)
    {
        _node = peer.StartNode("server.mjs", GrpcJsPeer.ProtoFile, compression);
        var port = int.Parse((await NextLineAsync())!["port ".Length..], CultureInfo.InvariantCulture);
        _channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port}");
        _client = new Echo.EchoClient(_channel);
    }

    private Task<string?> NextLineAsync() => _node.StandardOutput.ReadLineAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Token);
}
