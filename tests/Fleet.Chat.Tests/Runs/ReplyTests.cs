using System.Net;
using System.Net.Http.Json;
using Fleet.Chat.Tests.Fakes;
using Fleet.Contracts.Knowledge.V1;
using Fleet.Testing;
using Grpc.Core;

namespace Fleet.Chat.Tests.Runs;

public sealed class ReplyTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    [Fact]
    public async Task A_question_is_answered_as_dense_events_and_stored_with_its_counts()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync(new { temperature = 0.3, maxTokens = 100 });
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("안녕", "하세요", "!"));

        var events = await person.AskAsync(session, "인사해 줘");

        Assert.Equal(["run", "token", "token", "token", "done"], events.Select(e => e.Name));
        Assert.Equal([1, 2, 3, 4, 5], events.Select(e => e.Seq));
        var reply = await person.LastMessageAsync(session);
        Assert.Equal("안녕하세요!", (string?)reply["content"]);
        Assert.Equal("complete", (string?)reply["status"]);
        Assert.Equal("assistant", (string?)reply["role"]);
        Assert.Equal("fake/chat", (string?)reply["model"]);
        Assert.Equal(7, (int)reply["tokenCounts"]!["prompt"]!);
        Assert.Equal(3, (int)reply["tokenCounts"]!["completion"]!);
        Assert.Equal(0.3, (double)reply["parameters"]!["temperature"]!);
        Assert.True((double)reply["processingTimeMs"]! > 0);
        Assert.Equal(events[^1].Data["message"]!.ToJsonString(), reply.ToJsonString());
    }

    [Fact]
    public async Task The_stream_has_the_headers_that_proxies_need()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();

        await using var stream = await person.OpenStreamAsync(session, "hi");
        await stream.ReadToEndAsync();

        Assert.Equal("text/event-stream", stream.Response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no", stream.Response.Headers.GetValues("X-Accel-Buffering").Single());
        Assert.True(stream.Response.Headers.CacheControl?.NoCache);
    }

    [Fact]
    public async Task The_first_message_names_the_session_and_history_reaches_the_model()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync(new { systemPrompt = "Be brief." });

        await person.AskAsync(session, "This is a rather long first question that goes on and on");
        await person.AskAsync(session, "second");

        var stored = await person.Http.GetFromJsonAsync<System.Text.Json.Nodes.JsonObject>($"/api/sessions/{session}");
        Assert.Equal("This is a rather long first question tha…", (string?)stored!["title"]);
        var request = chat.Engine.Requests.Last(r => r.Messages[^1].Content == "second");
        Assert.Equal(["Be brief.", "This is a rather long first question that goes on and on",
            "You said: This is a rather long first question that goes on and on", "second"], request.Messages.Select(m => m.Content));
        Assert.Equal(person.Id.ToString(), request.Caller.UserId);
        Assert.StartsWith("Bearer ", chat.Engine.GenerateTokens.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Closing_the_stream_ends_nothing_and_resuming_gives_every_event_once()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        Guid run;
        await using (var stream = await person.OpenStreamAsync(session, "tell me"))
        {
            run = (await stream.NextOfAsync("run")).Data["runId"]!.GetValue<Guid>();
            held.Send("one ");
            await stream.NextOfAsync("token");
        }

        held.Send("two ");
        await using var resumed = await person.ResumeAsync(run, after: 2);
        Assert.Equal("two ", (string?)(await resumed.NextOfAsync("token")).Data["text"]);
        held.Send("three");
        held.Finish();
        var rest = await resumed.ReadToEndAsync();

        Assert.Equal(["token", "done"], rest.Select(e => e.Name));
        Assert.Equal([4, 5], rest.Select(e => e.Seq));
        await using var again = await person.ResumeAsync(run, after: 0);
        var all = await again.ReadToEndAsync();
        Assert.Equal([1, 2, 3, 4, 5], all.Select(e => e.Seq));
        Assert.Equal("one two three", string.Concat(all.Where(e => e.Name == "token").Select(e => (string?)e.Data["text"])));
        Assert.False(held.Cancelled.IsCompleted);
    }

    [Fact]
    public async Task Stop_reaches_the_engine_and_keeps_and_counts_what_had_come()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        await using var stream = await person.OpenStreamAsync(session, "a long story");
        var run = (await stream.NextOfAsync("run")).Data["runId"]!.GetValue<Guid>();
        held.Send("Once ");
        await stream.NextOfAsync("token");

        using var response = await person.Http.PostAsync($"/api/runs/{run}/cancel", null);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        await held.Cancelled.WaitAsync(TimeSpan.FromSeconds(10));
        var done = await stream.NextOfAsync("done");
        Assert.Equal("stopped", (string?)done.Data["message"]!["status"]);
        Assert.Equal("cancelled", (string?)done.Data["message"]!["finishReason"]);
        Assert.Equal("Once ", (string?)done.Data["message"]!["content"]);
        Assert.Equal(1, (int)done.Data["message"]!["tokenCounts"]!["completion"]!);
        using var twice = await person.Http.PostAsync($"/api/runs/{run}/cancel", null);
        Assert.Equal(HttpStatusCode.Accepted, twice.StatusCode);
    }

    [Theory]
    [InlineData(StatusCode.Unavailable)]
    [InlineData(StatusCode.Internal)]
    [InlineData(StatusCode.Unknown)]
    public async Task A_stream_that_breaks_in_the_middle_goes_on_without_loss_or_repetition(StatusCode status)
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync(new { maxTokens = 50 });
        chat.Engine.Scripts.Enqueue(FakeEngine.Break(status, "alpha ", "beta "));
        chat.Engine.Scripts.Enqueue(FakeEngine.Refuse(StatusCode.Unavailable));
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("alpha ", "beta ", "gamma ", "delta"));

        var events = await person.AskAsync(session, $"go on over {status}");

        Assert.Equal("alpha beta gamma delta", string.Concat(events.Where(e => e.Name == "token").Select(e => (string?)e.Data["text"])));
        Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(e => e.Seq));
        Assert.Equal("done", events[^1].Name);
        Assert.Equal(4, (int)events[^1].Data["message"]!["tokenCounts"]!["completion"]!);
        var last = chat.Engine.Requests.Last(r => r.Messages[^1].Content == $"go on over {status}");
        Assert.Equal("alpha beta ", last.ContinueFrom);
        Assert.Equal(48, last.MaxTokens);
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted, "engine-busy")]
    [InlineData(StatusCode.NotFound, "unknown-model")]
    [InlineData(StatusCode.FailedPrecondition, "not-possible-with-model")]
    [InlineData(StatusCode.DeadlineExceeded, "timeout")]
    public async Task An_engine_that_refuses_is_told_and_the_question_is_kept(StatusCode status, string type)
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        chat.Engine.Scripts.Enqueue(FakeEngine.Refuse(status, retryAfterMs: 1500));

        var events = await person.AskAsync(session, "are you there?");

        Assert.Equal("error", events[^1].Name);
        Assert.Equal(type, (string?)events[^1].Data["type"]);
        Assert.NotEmpty((string?)events[^1].Data["title"] ?? "");
        if (status == StatusCode.ResourceExhausted) Assert.Equal(1500, (int)events[^1].Data["retryAfterMs"]!);
        var messages = await person.MessagesAsync(session);
        Assert.Equal("are you there?", (string?)messages[0]!["content"]);
        Assert.Equal("failed", (string?)messages[1]!["status"]);
        Assert.Equal(type, (string?)messages[1]!["error"]!["type"]);
    }

    [Fact]
    public async Task A_reply_without_a_word_is_an_error_not_an_empty_success()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply());

        var events = await person.AskAsync(session, "say nothing");

        Assert.Equal("error", events[^1].Name);
        Assert.Equal("empty-reply", (string?)events[^1].Data["type"]);
    }

    [Fact]
    public async Task A_second_question_during_a_reply_is_refused_and_two_at_once_give_one_run()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);

        var posts = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => person.Http.PostAsJsonAsync($"/api/sessions/{session}/messages", new { content = $"question {i}" })));

        Assert.Single(posts, post => post.StatusCode == HttpStatusCode.Accepted);
        Assert.All(posts.Where(post => post.StatusCode != HttpStatusCode.Accepted), post => Assert.Equal(HttpStatusCode.Conflict, post.StatusCode));
        var problem = await ChatPerson.ReadAsync(posts.First(post => post.StatusCode == HttpStatusCode.Conflict));
        Assert.Equal("urn:fleet:problem:run-in-progress", (string?)problem["type"]);
        Assert.NotNull(problem["runId"]);
        Assert.Equal(2, (await person.MessagesAsync(session)).Count);
        held.Send("x");
        held.Finish();
    }

    [Fact]
    public async Task An_idempotency_key_returns_the_same_run_and_refuses_another_body()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        async Task<HttpResponseMessage> PostAsync(string content)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/sessions/{session}/messages") { Content = JsonContent.Create(new { content }) };
            request.Headers.Add("Idempotency-Key", "key-1");
            return await person.Http.SendAsync(request);
        }

        using var first = await PostAsync("once");
        using var second = await PostAsync("once");
        using var other = await PostAsync("twice");

        Assert.Equal(HttpStatusCode.Accepted, first.StatusCode);
        Assert.Equal(HttpStatusCode.Accepted, second.StatusCode);
        Assert.Equal((await ChatPerson.ReadAsync(first)).ToJsonString(), (await ChatPerson.ReadAsync(second)).ToJsonString());
        Assert.Equal(HttpStatusCode.UnprocessableEntity, other.StatusCode);
        Assert.Equal(2, (await person.MessagesAsync(session)).Count);
    }

    [Fact]
    public async Task A_request_with_a_key_during_a_reply_is_refused_and_works_afterwards()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        var (run, _) = await person.PostAsync(session, "first");
        async Task<HttpStatusCode> PostAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/sessions/{session}/messages") { Content = JsonContent.Create(new { content = "second" }) };
            request.Headers.Add("Idempotency-Key", "key-2");
            return (await person.Http.SendAsync(request)).StatusCode;
        }

        Assert.Equal(HttpStatusCode.Conflict, await PostAsync());
        held.Send("x");
        held.Finish();
        await using (var stream = await person.ResumeAsync(run, 0)) await stream.ReadToEndAsync();
        Assert.Equal(HttpStatusCode.Accepted, await PostAsync());
    }

    [Fact]
    public async Task Text_that_no_database_stores_is_left_out_of_the_reply()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("a\0", "b"));

        var events = await person.AskAsync(session, "zero");

        Assert.Equal("ab", (string?)events[^1].Data["message"]!["content"]);
    }

    [Fact]
    public async Task Passages_reach_the_model_with_the_askers_token_and_only_cited_ones_are_stored()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync(new { useKnowledge = true });
        chat.Engine.OnSearch = _ => new SearchResponse
        {
            Passages =
            {
                new Passage { ChunkId = "c1", DocumentId = "d1", Title = "manual.pdf", Page = 3, Text = "The valve opens at 80 degrees.", Score = 0.9, Start = 10, End = 40 },
                new Passage { ChunkId = "c2", DocumentId = "d2", Title = "other.txt", Text = "Nothing of interest.", Score = 0.2 },
            },
        };
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("At 80 degrees [", "1", "]."));

        var events = await person.AskAsync(session, "When does the valve open?");

        var request = chat.Engine.Requests.Last(r => r.Messages[^1].Content == "When does the valve open?");
        Assert.Contains("[1] manual.pdf, p. 3\nThe valve opens at 80 degrees.", request.Messages[0].Content, StringComparison.Ordinal);
        Assert.Equal([1, 2], request.Passages.Select(p => p.Number));
        Assert.Equal("Bearer " + person.Token, chat.Engine.SearchTokens.Last());
        var citation = Assert.Single(events, e => e.Name == "citation");
        Assert.Equal("c1", (string?)citation.Data["chunkId"]);
        var reply = await person.LastMessageAsync(session);
        Assert.Equal("d1", (string?)Assert.Single(reply["citations"]!.AsArray())!["documentId"]);
    }

    [Fact]
    public async Task Without_knowledge_the_answer_still_comes_and_says_so()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync(new { useKnowledge = true });
        chat.Engine.OnSearch = _ => throw new RpcException(new Status(StatusCode.Unavailable, "down"));

        var events = await person.AskAsync(session, "anything");

        Assert.Equal("knowledge-unavailable", (string?)Assert.Single(events, e => e.Name == "notice").Data["code"]);
        Assert.Equal("done", events[^1].Name);
        Assert.Equal("knowledge-unavailable", (string?)(await person.LastMessageAsync(session))["notices"]![0]!["code"]);
    }

    [Fact]
    public async Task Regenerate_adds_a_second_reply_to_the_same_question()
    {
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "again please");
        var first = await person.LastMessageAsync(session);

        using var response = await person.Http.PostAsync($"/api/messages/{first["id"]}/regenerate", null);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        await Eventually.TrueAsync(async () => (string?)(await person.LastMessageAsync(session))["status"] == "complete");
        var second = await person.LastMessageAsync(session);
        Assert.NotEqual((string?)first["id"], (string?)second["id"]);
        Assert.Equal((string?)first["parentId"], (string?)second["parentId"]);
    }
}
