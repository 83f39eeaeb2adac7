using Grpc.Core;

namespace Fleet.Compat.Grpc.Tests;

public sealed class MetadataTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<byte[]> Binaries => new(new byte[][] { [], [0], [255, 0], [1, 2, 3], [.. Enumerable.Range(0, 256).Select(i => (byte)i)] });

    [Theory(Timeout = TestLimits.Milliseconds)]
    [MemberData(nameof(Binaries))]
    public async Task Text_and_bytes_travel_as_headers_and_trailers_in_both_directions(byte[] bytes)
    {
        await using var server = await EchoServer.StartAsync();
        var headers = new Metadata { { "X-Text", "plain text" }, { "x-bytes-bin", bytes } };

        using var call = server.Client.SayAsync(new EchoRequest { ReflectMetadata = true }, headers, cancellationToken: Token);
        var received = await call.ResponseHeadersAsync;
        await call;

        Assert.Equal("plain text", received.GetValue("x-text"));
        Assert.Equal(bytes, received.GetValueBytes("x-bytes-bin"));
        Assert.Equal("plain text", call.GetTrailers().GetValue("x-trailing-text"));
        Assert.Equal(bytes, call.GetTrailers().GetValueBytes("x-trailing-bytes-bin"));
        Assert.Null(call.GetTrailers().Get("grpc-status"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Headers_are_there_before_the_first_message()
    {
        await using var server = await EchoServer.StartAsync();
        var headers = new Metadata { { "x-text", "early" }, { "x-bytes-bin", new byte[] { 7 } } };

        using var call = server.Client.Repeat(new EchoRequest { ReflectMetadata = true, Hang = true }, headers, cancellationToken: Token);

        Assert.Equal("early", (await call.ResponseHeadersAsync.WaitAsync(TimeSpan.FromSeconds(20), Token)).GetValue("x-text"));
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Failed_call_carries_its_trailers()
    {
        await using var server = await EchoServer.StartAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Client.SayAsync(new EchoRequest { FailWith = (int)StatusCode.NotFound }, cancellationToken: Token));

        Assert.Equal("asked", exception.Trailers.GetValue("x-reason"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("with space")]
    [InlineData("코드")]
    [InlineData("a:b")]
    public void Keys_outside_the_alphabet_are_refused(string key) =>
        Assert.Throws<ArgumentException>(() => new Metadata.Entry(key, "value"));

    [Fact]
    public void Kind_of_value_must_match_the_key()
    {
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("key-bin", "text"));
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("key", [1]));
        Assert.Throws<InvalidOperationException>(() => new Metadata.Entry("key-bin", [1]).Value);
    }

    [Fact]
    public void Last_entry_of_a_key_wins_and_all_are_kept()
    {
        var metadata = new Metadata { { "a", "1" }, { "A", "2" }, { "b", "3" } };

        Assert.Equal("2", metadata.GetValue("a"));
        Assert.Equal(["1", "2"], metadata.GetAll("a").Select(entry => entry.Value));
        Assert.Null(metadata.Get("c"));
        Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("a", "1"));
    }
}
