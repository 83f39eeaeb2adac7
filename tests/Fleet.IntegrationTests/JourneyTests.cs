using System.Net;
using System.Text.Json;
using Fleet.Testing;
using Xunit;

namespace Fleet.IntegrationTests;

public sealed class JourneyTests(FleetFixture fleet)
{
    [Fact]
    public async Task A_person_registers_chats_and_sees_history_usage_and_a_notification()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel });

        var reply = await user.AskAsync(session, "Hello, who are you?");

        reply.AssertDense();
        Assert.True(reply.Tokens > 3, "the reply did not stream");
        Assert.NotNull(reply.Done);
        var messages = await user.MessagesAsync(session);
        Assert.Equal(["user", "assistant"], messages.Select(message => message.GetProperty("role").GetString()));
        Assert.Equal(reply.Text, messages[1].GetProperty("content").GetString());
        Assert.Equal("complete", messages[1].GetProperty("status").GetString());
        Assert.True(messages[1].GetProperty("tokenCounts").GetProperty("completion").GetInt32() > 0);
        Assert.True(messages[1].GetProperty("processingTimeMs").GetDouble() >= 0);

        await Eventually.TrueAsync(async () => (await user.UsageAsync()).GetProperty("requests").GetInt64() == 1,
            "usage did not show the reply within 5 s", TimeSpan.FromSeconds(5));
        await Eventually.TrueAsync(async () => (await user.GetAsync("/api/notifications")).GetProperty("items").GetArrayLength() > 0,
            "no notification came", TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_native_model_streams_through_the_whole_fleet()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = 24, temperature = 0 });

        var first = await user.AskAsync(session, "안녕하세요");

        first.AssertDense();
        Assert.Null(first.Error);
        Assert.Equal(24, first.Done!.Value.GetProperty("tokenCounts").GetProperty("completion").GetInt32());
    }

    [Fact]
    public async Task Stop_ends_the_reply_and_keeps_what_was_said()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = FleetFixture.LongReply });
        var reply = new Reply();

        await foreach (var (type, data) in user.StreamAsync(session, "Talk for a long time."))
        {
            reply.Add(type, data);
            if (reply.Tokens == 5) Assert.Equal(HttpStatusCode.OK, await StopAsync(user, reply.RunId));
        }

        var stored = (await user.MessagesAsync(session))[1];
        Assert.Equal("stopped", stored.GetProperty("status").GetString());
        Assert.Equal(reply.Text, stored.GetProperty("content").GetString());
        Assert.True(stored.GetProperty("tokenCounts").GetProperty("completion").GetInt32() < FleetFixture.LongReply);
    }

    [Fact]
    public async Task A_reader_who_comes_back_gets_the_rest_once()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = 200 });
        var reply = new Reply();
        await foreach (var (type, data) in user.StreamAsync(session, "Keep talking."))
        {
            reply.Add(type, data);
            if (reply.Tokens == 3) break;
        }

        await foreach (var (type, data) in user.ResumeAsync(reply.RunId, reply.Sequence[^1])) reply.Add(type, data);

        reply.AssertDense();
        Assert.Equal(reply.Text, (await user.MessagesAsync(session))[1].GetProperty("content").GetString());
    }

    [Fact]
    public async Task The_websocket_carries_the_same_reply()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel });
        using var socket = new System.Net.WebSockets.ClientWebSocket();
        socket.Options.AddSubProtocol("fleet.v1");
        socket.Options.AddSubProtocol("bearer." + user.Token);
        await socket.ConnectAsync(new Uri(fleet.GatewayAddress.ToString().Replace("http://", "ws://", StringComparison.Ordinal) + $"ws/chat/{session}"), TestContext.Current.CancellationToken);

        await socket.SendAsync("""{"type":"chat_message","message":"Hello"}"""u8.ToArray(), System.Net.WebSockets.WebSocketMessageType.Text, true, TestContext.Current.CancellationToken);
        var text = "";
        JsonElement complete = default;
        while (complete.ValueKind == JsonValueKind.Undefined)
        {
            var frame = await ReceiveAsync(socket);
            if (frame.GetProperty("type").GetString() == "ai_chunk") text += frame.GetProperty("chunk").GetString();
            if (frame.GetProperty("type").GetString() == "ai_complete") complete = frame.GetProperty("message");
            Assert.NotEqual("error", frame.GetProperty("type").GetString());
        }

        Assert.Equal(text, complete.GetProperty("content").GetString());
        Assert.NotEmpty(text);
    }

    [Fact]
    public async Task The_whole_fleets_health_is_one_address()
    {
        using var client = fleet.CreateClient();

        using var response = await client.GetAsync("/health", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static async Task<HttpStatusCode> StopAsync(FleetUser user, Guid run)
    {
        var status = await user.StatusAsync(HttpMethod.Post, $"/api/runs/{run}/cancel");
        return status is HttpStatusCode.Accepted or HttpStatusCode.NoContent ? HttpStatusCode.OK : status;
    }

    private static async Task<JsonElement> ReceiveAsync(System.Net.WebSockets.ClientWebSocket socket)
    {
        var buffer = new byte[64 * 1024];
        var length = 0;
        while (true)
        {
            var result = await socket.ReceiveAsync(buffer.AsMemory(length), TestContext.Current.CancellationToken);
            length += result.Count;
            if (result.EndOfMessage) return JsonElement.Parse(buffer.AsSpan(0, length));
        }
    }
}
