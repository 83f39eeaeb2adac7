using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;

namespace Fleet.Chat.Tests.Sessions;

public sealed class SessionTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    private const string Ours = "00000000-0000-0000-0000-000000000000";

    [Fact]
    public async Task A_session_is_created_read_changed_replaced_and_deleted()
    {
        var person = chat.CreatePerson();
        var id = await person.OpenSessionAsync(new { model = "fake/other", temperature = 1.5, useKnowledge = true, collections = new[] { Guid.NewGuid() } });

        using var patched = await person.Http.PatchAsJsonAsync($"/api/sessions/{id}", new { title = "제목", pinned = true, config = new { topP = 0.5 } });
        var afterPatch = await ChatPerson.ReadAsync(patched);
        using var put = await person.Http.PutAsJsonAsync($"/api/sessions/{id}", new { title = "new", config = new { maxTokens = 5 } });
        var afterPut = await person.Http.GetFromJsonAsync<JsonObject>($"/api/sessions/{id}");
        using var deleted = await person.Http.DeleteAsync($"/api/sessions/{id}");
        using var gone = await person.Http.GetAsync($"/api/sessions/{id}");

        Assert.Equal("제목", (string?)afterPatch["title"]);
        Assert.Equal(1.5, (double)afterPatch["config"]!["temperature"]!);
        Assert.Equal(0.5, (double)afterPatch["config"]!["topP"]!);
        Assert.True((bool)afterPatch["pinned"]!);
        Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        Assert.Null(afterPut!["config"]!["temperature"]);
        Assert.Equal(5, (int)afterPut["config"]!["maxTokens"]!);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task Lists_page_by_cursor_without_gap_or_repetition()
    {
        var person = chat.CreatePerson();
        var created = new List<Guid>();
        for (var i = 0; i < 7; i++) created.Add(await person.OpenSessionAsync());

        var seen = new List<Guid>();
        string? cursor = null;
        do
        {
            var page = (await person.Http.GetFromJsonAsync<JsonObject>($"/api/sessions?limit=3&cursor={cursor}"))!;
            seen.AddRange(page["items"]!.AsArray().Select(item => item!["id"]!.GetValue<Guid>()));
            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);

        Assert.Equal(Enumerable.Reverse(created), seen);
        var recent = (await person.Http.GetFromJsonAsync<JsonObject>("/api/sessions/recent"))!;
        Assert.Equal(7, recent["items"]!.AsArray().Count);
    }

    [Fact]
    public async Task Messages_page_by_cursor_in_the_order_of_the_talk()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        for (var i = 0; i < 3; i++) await person.AskAsync(session, $"question {i}");

        var first = (await person.Http.GetFromJsonAsync<JsonObject>($"/api/sessions/{session}/messages?limit=4"))!;
        var second = (await person.Http.GetFromJsonAsync<JsonObject>($"/api/sessions/{session}/messages?limit=4&cursor={(string?)first["nextCursor"]}"))!;

        Assert.Equal(["question 0", "You said: question 0", "question 1", "You said: question 1", "question 2", "You said: question 2"],
            first["items"]!.AsArray().Concat(second["items"]!.AsArray()).Select(item => (string?)item!["content"]));
        Assert.Null(second["nextCursor"]);
    }

    [Fact]
    public async Task Search_finds_titles_and_messages_of_their_owner_only_and_takes_wildcards_literally()
    {
        var person = chat.CreatePerson();
        var other = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "세종대왕은 100% 훈민정음을 만들었다");
        await person.OpenSessionAsync();

        async Task<int> FindAsync(ChatPerson who, string q) =>
            (await who.Http.GetFromJsonAsync<JsonObject>($"/api/sessions/search?q={Uri.EscapeDataString(q)}"))!["items"]!.AsArray().Count;

        Assert.Equal(1, await FindAsync(person, "훈민정음"));
        Assert.Equal(1, await FindAsync(person, "YOU SAID"));
        Assert.Equal(1, await FindAsync(person, "100%"));
        Assert.Equal(0, await FindAsync(person, "세종_대"));
        Assert.Equal(0, await FindAsync(person, "%%"));
        Assert.Equal(0, await FindAsync(other, "훈민정음"));
    }

    public static TheoryData<string, string, string?> OwnedRoutes => new()
    {
        { "GET", "/api/sessions/{session}", null },
        { "PATCH", "/api/sessions/{session}", "{\"title\":\"stolen\"}" },
        { "PUT", "/api/sessions/{session}", "{\"title\":\"stolen\"}" },
        { "DELETE", "/api/sessions/{session}", null },
        { "GET", "/api/sessions/{session}/messages", null },
        { "POST", "/api/sessions/{session}/messages", "{\"content\":\"hi\"}" },
        { "GET", "/api/runs/{run}/events", null },
        { "POST", "/api/runs/{run}/cancel", null },
        { "POST", "/api/messages/{message}/feedback", "{\"rating\":\"up\"}" },
        { "POST", "/api/messages/{message}/regenerate", null },
    };

    [Theory]
    [MemberData(nameof(OwnedRoutes))]
    public async Task Another_persons_rows_do_not_exist(string method, string route, string? body)
    {
        var owner = chat.CreatePerson();
        var session = await owner.OpenSessionAsync();
        var events = await owner.AskAsync(session, "private");
        var path = route.Replace("{session}", session.ToString(), StringComparison.Ordinal)
            .Replace("{run}", (string?)events[0].Data["runId"], StringComparison.Ordinal)
            .Replace("{message}", (string?)events[0].Data["messageId"], StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(chat.CreateAnonymous(), method, path, body));
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync(chat.CreatePerson().Http, method, path, body));
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync(owner.Http, method, route
            .Replace("{session}", Ours, StringComparison.Ordinal).Replace("{run}", Ours, StringComparison.Ordinal).Replace("{message}", Ours, StringComparison.Ordinal), body));
        Assert.Equal(2, (await owner.MessagesAsync(session)).Count);
        Assert.Equal("private", (string?)(await owner.Http.GetFromJsonAsync<JsonObject>($"/api/sessions/{session}"))!["title"]);
    }

    [Theory]
    [InlineData("{\"title\":", null)]
    [InlineData("{\"config\":{\"temperature\":\"hot\"}}", "temperature")]
    [InlineData("{\"config\":{\"temperature\":2.5}}", "temperature")]
    [InlineData("{\"config\":{\"temperature\":-1}}", "temperature")]
    [InlineData("{\"config\":{\"maxTokens\":0}}", "maxTokens")]
    [InlineData("{\"config\":{\"topP\":1.01}}", "topP")]
    [InlineData("{\"config\":{\"collections\":[\"not-a-guid\"]}}", "collections")]
    [InlineData("{\"title\":5}", "title")]
    [InlineData("{\"config\":{\"systemPrompt\":\"a\\u0000b\"}}", "systemPrompt")]
    [InlineData("[]", null)]
    [InlineData("\"text\"", null)]
    public async Task Bad_input_is_a_400_that_names_the_field(string body, string? field)
    {
        var person = chat.CreatePerson();

        using var response = await person.Http.PostAsync("/api/sessions", new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains("traceId", text, StringComparison.Ordinal);
        if (field is not null) Assert.Contains(field, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_model_is_refused_by_name()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();

        using var created = await person.Http.PostAsJsonAsync("/api/sessions", new { config = new { model = "no/such" } });
        using var patched = await person.Http.PatchAsJsonAsync($"/api/sessions/{session}", new { config = new { model = "fake/embed" } });
        using var sent = await person.Http.PostAsJsonAsync($"/api/sessions/{session}/messages", new { content = "hi", config = new { model = "no/such" } });

        Assert.All([created, patched, sent], response => Assert.Equal(HttpStatusCode.UnprocessableEntity, response.StatusCode));
        Assert.Contains("no/such", (string?)(await ChatPerson.ReadAsync(created))["detail"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"content\":\"\"}")]
    [InlineData("{\"content\":\"   \"}")]
    [InlineData("{\"content\":null}")]
    [InlineData("{\"content\":[1]}")]
    [InlineData("{\"content\":\"a\\u0000b\"}")]
    [InlineData("{\"content\":\"half \\ud83d a pair\"}")]
    [InlineData("{\"content\":\"hi\",\"parentId\":\"x\"}")]
    [InlineData("nonsense")]
    public async Task A_bad_message_is_refused_and_nothing_is_stored(string body)
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();

        using var response = await person.Http.PostAsync($"/api/sessions/{session}/messages", new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Empty(await person.MessagesAsync(session));
    }

    [Fact]
    public async Task Feedback_is_stored_replaced_and_refused_when_it_makes_no_sense()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "rate me");
        var messages = await person.MessagesAsync(session);
        async Task<HttpStatusCode> RateAsync(int message, object body) =>
            (await person.Http.PostAsJsonAsync($"/api/messages/{(string?)messages[message]!["id"]}/feedback", body)).StatusCode;

        Assert.Equal(HttpStatusCode.NoContent, await RateAsync(1, new { rating = "up" }));
        Assert.Equal(HttpStatusCode.NoContent, await RateAsync(1, new { rating = "down", reasons = new[] { "wrong" }, comment = "no" }));
        Assert.Equal(HttpStatusCode.BadRequest, await RateAsync(1, new { rating = "sideways" }));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, await RateAsync(0, new { rating = "up" }));
        Assert.Equal("down", await chat.Database.ScalarAsync($"select rating from feedback where user_id = '{person.Id}'"));
    }

    [Fact]
    public async Task Plain_generation_answers_as_json_and_as_a_stream()
    {
        var person = chat.CreatePerson();

        using var whole = await person.Http.PostAsJsonAsync("/api/llm/generate", new { prompt = "hello" });
        await using var stream = await EventReader.OpenAsync(await person.Http.PostAsJsonAsync("/api/llm/generate", new { messages = new[] { new { role = "user", content = "hey" } }, stream = true }));
        var events = await stream.ReadToEndAsync();
        using var neither = await person.Http.PostAsJsonAsync("/api/llm/generate", new { });
        chat.Engine.Scripts.Enqueue(Fakes.FakeEngine.Refuse(Grpc.Core.StatusCode.ResourceExhausted, 2000));
        using var busy = await person.Http.PostAsJsonAsync("/api/llm/generate", new { prompt = "hello", stream = true });
        var models = await person.Http.GetFromJsonAsync<JsonObject>("/api/llm/models");

        var body = await ChatPerson.ReadAsync(whole);
        Assert.Equal("You said: hello", (string?)body["content"]);
        Assert.Equal(2, (int)body["tokenCounts"]!["completion"]!);
        Assert.Equal(["run", "token", "token", "done"], events.Select(e => e.Name));
        Assert.Equal(HttpStatusCode.BadRequest, neither.StatusCode);
        Assert.Equal(HttpStatusCode.TooManyRequests, busy.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(2), busy.Headers.RetryAfter?.Delta);
        Assert.Equal(["fake/chat", "fake/other"], models!["items"]!.AsArray().Select(model => (string?)model!["id"]));
    }

    private static async Task<HttpStatusCode> SendAsync(HttpClient http, string method, string path, string? body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.SendAsync(request);
        return response.StatusCode;
    }
}
