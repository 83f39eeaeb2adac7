using System.Net.WebSockets;
using System.Text;

namespace Fleet.Gateway.Tests;

public sealed class StreamingTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Events_arrive_one_by_one_while_the_stream_is_open()
    {
        using var timeout = new CancellationTokenSource(Patience);
        using var client = fleet.CreateClient();
        client.DefaultRequestHeaders.AcceptEncoding.ParseAdd("gzip, br");
        using var answer = await client.GetAsync("/api/runs/1/stream", HttpCompletionOption.ResponseHeadersRead, timeout.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(timeout.Token));

        // The next event is only sent once the one before has come through, so any buffering would wait for ever.
        for (var i = 0; i < 5; i++)
        {
            await fleet["chat"].Events.Writer.WriteAsync($"event {i}", timeout.Token);
            Assert.Equal($"data: event {i}", await reader.ReadLineAsync(timeout.Token));
            Assert.Equal("", await reader.ReadLineAsync(timeout.Token));
        }

        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        Assert.Empty(answer.Content.Headers.ContentEncoding);
    }

    [Fact]
    public async Task A_web_socket_talks_both_ways_and_keeps_its_subprotocol()
    {
        using var timeout = new CancellationTokenSource(Patience);
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("fleet.v1");
        socket.Options.AddSubProtocol("bearer.abc.def.ghi");

        await socket.ConnectAsync(new UriBuilder(fleet.Address) { Scheme = "ws", Path = "/ws/chat/echo" }.Uri, timeout.Token);
        await socket.SendAsync(Encoding.UTF8.GetBytes("안녕"), WebSocketMessageType.Text, true, timeout.Token);
        var buffer = new byte[64];
        var received = await socket.ReceiveAsync(buffer, timeout.Token);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, timeout.Token);

        Assert.Equal("안녕", Encoding.UTF8.GetString(buffer, 0, received.Count));
        Assert.Equal("fleet.v1", socket.SubProtocol);
    }

    [Fact]
    public async Task A_client_that_leaves_ends_the_request_at_the_service()
    {
        using var timeout = new CancellationTokenSource(Patience);
        await using var upstream = await Upstream.StartAsync("analytics");
        await using var gateway = await fleet.StartAsync(("services:analytics:http:0", upstream.Address));
        using (var client = gateway.CreateClient())
        using (await client.GetAsync("/api/analytics/stream", HttpCompletionOption.ResponseHeadersRead, timeout.Token))
        {
        }

        // Nobody reads any more, so the service's own wait for the next event is cancelled and its channel left full.
        await Testing.Eventually.TrueAsync(async () =>
        {
            await upstream.Events.Writer.WriteAsync("unread", timeout.Token);
            await Task.Yield();
            return upstream.Events.Reader.Count > 2;
        });
    }
}
