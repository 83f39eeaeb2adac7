using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Fleet.Chat.Tests.Fakes;

namespace Fleet.Chat.Tests.WebSockets;

public sealed class ChatSocketTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    [Fact]
    public async Task A_message_is_answered_in_numbered_chunks_and_completed_with_the_stored_message()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await using var socket = await TestSocket.ConnectAsync(chat, person, session);
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("안", "녕"));

        await socket.SendAsync("""{"type":"chat_message","message":"hi"}""");

        var run = await socket.NextOfAsync("run");
        var first = await socket.NextOfAsync("ai_chunk");
        var second = await socket.NextOfAsync("ai_chunk");
        var complete = await socket.NextOfAsync("ai_complete");
        Assert.Equal(1, (int)run["seq"]!);
        Assert.Equal(("안", 2), ((string)first["chunk"]!, (int)first["seq"]!));
        Assert.Equal(("녕", 3), ((string)second["chunk"]!, (int)second["seq"]!));
        Assert.Equal("안녕", (string?)complete["message"]!["content"]);
        Assert.Equal("websocket", await chat.Database.ScalarAsync($"select surface from runs where id = '{(string?)run["runId"]}'"));
    }

    [Fact]
    public async Task A_browser_authenticates_by_subprotocol_and_is_answered_with_the_protocols_name()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("fleet.v1");
        socket.Options.AddSubProtocol("bearer." + person.Token);

        await socket.ConnectAsync(TestSocket.UriOf(chat, session), CancellationToken.None);

        Assert.Equal("fleet.v1", socket.SubProtocol);
    }

    [Fact]
    public async Task Without_a_good_token_or_a_session_of_ones_own_no_socket_opens()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, await TestSocket.RefusedAsync(chat, null, session));
        Assert.Equal(HttpStatusCode.Unauthorized, await TestSocket.RefusedAsync(chat, chat.Tokens.Expired(person.Id), session));
        Assert.Equal(HttpStatusCode.Unauthorized, await TestSocket.RefusedAsync(chat, chat.Tokens.Foreign(person.Id), session));
        Assert.Equal(HttpStatusCode.NotFound, await TestSocket.RefusedAsync(chat, chat.CreatePerson().Token, session));
        using var plain = await person.Http.GetAsync($"/ws/chat/{session}");
        Assert.Equal(HttpStatusCode.BadRequest, plain.StatusCode);
    }

    [Fact]
    public async Task Reconnecting_resumes_at_the_offset_without_loss_or_repetition()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        await using (var socket = await TestSocket.ConnectAsync(chat, person, session))
        {
            await socket.SendAsync("""{"type":"chat_message","message":"go"}""");
            held.Send("one ");
            await socket.NextOfAsync("ai_chunk");
            socket.Abort();
        }

        held.Send("two ");
        await using var again = await TestSocket.ConnectAsync(chat, person, session);
        await again.SendAsync("""{"type":"resume","after":2}""");
        var next = await again.NextOfAsync("ai_chunk");
        held.Send("three");
        var last = await again.NextOfAsync("ai_chunk");
        held.Finish();
        var complete = await again.NextOfAsync("ai_complete");

        Assert.Equal(("two ", 3), ((string)next["chunk"]!, (int)next["seq"]!));
        Assert.Equal(("three", 4), ((string)last["chunk"]!, (int)last["seq"]!));
        Assert.Equal("one two three", (string?)complete["message"]!["content"]);
    }

    [Fact]
    public async Task Stop_ends_the_reply_and_keeps_its_text()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        await using var socket = await TestSocket.ConnectAsync(chat, person, session);
        await socket.SendAsync("""{"type":"chat_message","message":"go"}""");
        held.Send("partial");
        await socket.NextOfAsync("ai_chunk");

        await socket.SendAsync("""{"type":"stop"}""");

        var complete = await socket.NextOfAsync("ai_complete");
        Assert.Equal("stopped", (string?)complete["message"]!["status"]);
        await held.Cancelled.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData("not json", "malformed-frame")]
    [InlineData("[]", "malformed-frame")]
    [InlineData("{}", "unknown-frame")]
    [InlineData("{\"type\":7}", "unknown-frame")]
    [InlineData("{\"type\":\"dance\"}", "unknown-frame")]
    [InlineData("{\"type\":\"chat_message\"}", "validation")]
    [InlineData("{\"type\":\"chat_message\",\"message\":\" \"}", "validation")]
    [InlineData("{\"type\":\"chat_message\",\"message\":\"x\",\"parentId\":\"nope\"}", "malformed-frame")]
    [InlineData("{\"type\":\"chat_message\",\"message\":\"half \\ud83d a pair\"}", "malformed-frame")]
    [InlineData("{\"type\":\"chat_message\",\"message\":\"a\\u0000b\"}", "validation")]
    [InlineData("{\"type\":\"resume\",\"after\":\"x\"}", "malformed-frame")]
    [InlineData("{\"type\":\"resume\",\"after\":-1}", "malformed-frame")]
    [InlineData("{\"type\":\"resume\"}", "not-found")]
    public async Task A_bad_frame_costs_an_error_frame_and_the_connection_lives(string frame, string code)
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await using var socket = await TestSocket.ConnectAsync(chat, person, session);

        await socket.SendAsync(frame);
        var error = await socket.NextOfAsync("error");
        await socket.SendAsync("""{"type":"chat_message","message":"still there?"}""");

        Assert.Equal(code, (string?)error["code"]);
        Assert.Equal("You said: still there?", (string?)(await socket.NextOfAsync("ai_complete"))["message"]!["content"]);
    }

    [Fact]
    public async Task A_frame_beyond_the_limit_closes_the_socket_as_too_big()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await using var socket = await TestSocket.ConnectAsync(chat, person, session);

        await socket.SendAsync(new string('x', 100_000));

        Assert.Equal("too-large", (string?)(await socket.NextOfAsync("error"))["code"]);
        Assert.Equal(WebSocketCloseStatus.MessageTooBig, await socket.ClosedAsync());
    }

    [Fact]
    public async Task Two_tabs_see_each_other_come_type_and_ask()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await using var first = await TestSocket.ConnectAsync(chat, person, session);
        Assert.Equal(1, (int)(await first.NextOfAsync("presence"))["connections"]!);
        await using var second = await TestSocket.ConnectAsync(chat, person, session);
        Assert.Equal(2, (int)(await first.NextOfAsync("presence"))["connections"]!);

        await second.SendAsync("""{"type":"typing"}""");
        await first.NextOfAsync("typing");
        await second.SendAsync("""{"type":"chat_message","message":"shared"}""");
        var run = await first.NextOfAsync("run");
        await first.SendAsync($$"""{"type":"resume","after":1,"runId":"{{(string?)run["runId"]}}"}""");

        Assert.Equal("You said: shared", (string?)(await first.NextOfAsync("ai_complete"))["message"]!["content"]);
    }

    /// <summary>A client on the real wire.</summary>
    private sealed class TestSocket(ClientWebSocket socket) : IAsyncDisposable
    {
        public static Uri UriOf(ChatFixture chat, Guid session) => new UriBuilder(chat.Address) { Scheme = "ws", Path = $"/ws/chat/{session}" }.Uri;

        public static async Task<TestSocket> ConnectAsync(ChatFixture chat, ChatPerson person, Guid session)
        {
            var socket = new ClientWebSocket();
            socket.Options.SetRequestHeader("Authorization", "Bearer " + person.Token);
            await socket.ConnectAsync(UriOf(chat, session), CancellationToken.None);
            return new TestSocket(socket);
        }

        public static async Task<HttpStatusCode> RefusedAsync(ChatFixture chat, string? token, Guid session)
        {
            using var socket = new ClientWebSocket();
            socket.Options.CollectHttpResponseDetails = true;
            if (token is not null) socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
            await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(UriOf(chat, session), CancellationToken.None));
            return socket.HttpStatusCode;
        }

        public Task SendAsync(string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, CancellationToken.None);

        public void Abort() => socket.Abort();

        public async Task<JsonObject> NextOfAsync(string type)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while (true)
            {
                using var message = new MemoryStream();
                var buffer = new byte[16 * 1024];
                WebSocketReceiveResult part;
                do
                {
                    part = await socket.ReceiveAsync(buffer, patience.Token);
                    if (part.MessageType == WebSocketMessageType.Close) throw new InvalidOperationException($"Closed before '{type}'.");
                    message.Write(buffer, 0, part.Count);
                }
                while (!part.EndOfMessage);

                var frame = JsonNode.Parse(Encoding.UTF8.GetString(message.ToArray()))!.AsObject();
                if ((string?)frame["type"] == type) return frame;
            }
        }

        public async Task<WebSocketCloseStatus?> ClosedAsync()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            var buffer = new byte[1024];
            while (socket.State is WebSocketState.Open or WebSocketState.CloseSent)
            {
                if ((await socket.ReceiveAsync(buffer, patience.Token)).MessageType == WebSocketMessageType.Close) break;
            }

            return socket.CloseStatus;
        }

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
