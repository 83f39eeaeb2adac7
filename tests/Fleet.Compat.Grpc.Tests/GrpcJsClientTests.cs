using System.Text.Json;
using Grpc.Core;

namespace Fleet.Compat.Grpc.Tests;

/// <summary>A grpc-js client against our server.</summary>
public sealed class GrpcJsClientTests(GrpcJsPeer peer)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = TestLimits.Milliseconds)]
    [InlineData("identity")]
    [InlineData("gzip")]
    public async Task Every_call_of_a_foreign_client_is_served(string compression)
    {
        await using var server = await EchoServer.StartAsync(options => options.ResponseCompressionAlgorithm = compression == "gzip" ? "gzip" : null);
        using var node = peer.StartNode("client.mjs", GrpcJsPeer.ProtoFile, server.Address.Authority, compression);
        var errors = node.StandardError.ReadToEndAsync(Token);
        var output = await node.StandardOutput.ReadToEndAsync(Token).WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.True(output.Length > 0, await errors);
        using var document = JsonDocument.Parse(output);
        var results = document.RootElement;

        Assert.Equal("안녕", results.GetProperty("unary").GetProperty("text").GetString());
        Assert.Equal(3, results.GetProperty("unary").GetProperty("length").GetInt32());
        Assert.Equal(3 * 1024 * 1024, results.GetProperty("big").GetProperty("length").GetInt32());
        AssertError(results, "tooBig", StatusCode.ResourceExhausted);
        foreach (var part in new[] { "headers", "trailers" })
        {
            Assert.Equal("plain text", results.GetProperty("metadata").GetProperty(part).GetProperty("text").GetString());
            Assert.Equal("00ff01", results.GetProperty("metadata").GetProperty(part).GetProperty("bytes").GetString());
        }

        AssertError(results, "failure", StatusCode.FailedPrecondition, "100 % 실패\n");
        Assert.Equal("asked", results.GetProperty("failure").GetProperty("error").GetProperty("reason").GetString());
        AssertError(results, "unhandled", StatusCode.Unknown);
        AssertError(results, "deadline", StatusCode.DeadlineExceeded);
        AssertError(results, "cancelled", StatusCode.Cancelled);
        Assert.Equal(1000, results.GetProperty("stream").GetProperty("count").GetInt32());
        Assert.True(results.GetProperty("stream").GetProperty("ordered").GetBoolean());
        Assert.Equal(0, results.GetProperty("emptyStream").GetProperty("count").GetInt32());
        Assert.False(results.GetProperty("emptyStream").TryGetProperty("error", out _));
        // grpc-js reports a failure at once, before messages that it is still unpacking.
        Assert.InRange(results.GetProperty("failedStream").GetProperty("count").GetInt32(), 0, 3);
        AssertError(results, "failedStream", StatusCode.DataLoss);
        AssertError(results, "cancelledStream", StatusCode.Cancelled);
        Assert.Equal("a,b,c", results.GetProperty("collected").GetProperty("text").GetString());
        Assert.Equal(["1", "2", "3"], results.GetProperty("chat").GetProperty("received").EnumerateArray().Select(text => text.GetString()));
        Assert.Equal(100, results.GetProperty("many").GetInt32());
        AssertError(results, "missing", StatusCode.Unimplemented);
        await server.Log.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(20), Token);
        await node.WaitForExitAsync(Token);
        Assert.Equal(0, node.ExitCode);
    }

    private static void AssertError(JsonElement results, string call, StatusCode code, string? detail = null)
    {
        var error = results.GetProperty(call).GetProperty("error");
        Assert.True(code == (StatusCode)error.GetProperty("code").GetInt32(), $"{call}: {error}");
        if (detail is not null)
            Assert.Equal(detail, error.GetProperty("details").GetString());
    }
}
