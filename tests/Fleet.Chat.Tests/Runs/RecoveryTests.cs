using Fleet.Chat.Tests.Fakes;
using Fleet.Testing;

namespace Fleet.Chat.Tests.Runs;

public sealed class RecoveryTests
{
    private static async Task<ChatFixture> StartAsync(bool redis)
    {
        var chat = new ChatFixture();
        if (redis) chat.Overrides["ConnectionStrings:redis"] = await BackingServers.RedisAsync();
        await chat.InitializeAsync();
        return chat;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_process_that_stops_hands_its_run_to_the_next_one_which_goes_on_from_the_text_so_far(bool redis)
    {
        await using var chat = await StartAsync(redis);
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        var (run, _) = await person.PostAsync(session, "survive");
        held.Send("before ");
        await using (var stream = await person.ResumeAsync(run, 0)) await stream.NextOfAsync("token");

        await chat.StopServiceAsync();
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("before ", "after"));
        await chat.StartServiceAsync();

        var again = person with { Http = chat.CreateClientFor(person) };
        await Eventually.TrueAsync(async () => (string?)(await again.LastMessageAsync(session))["status"] == "complete");
        var messages = await again.MessagesAsync(session);
        Assert.Equal(2, messages.Count);
        Assert.Equal("survive", (string?)messages[0]!["content"]);
        Assert.Equal("before after", (string?)messages[1]!["content"]);
        Assert.Equal("before ", chat.Engine.Requests.Last().ContinueFrom);
        await using var replay = await again.ResumeAsync(run, redis ? 2 : 0);
        var events = await replay.ReadToEndAsync();
        Assert.Equal("done", events[^1].Name);
        // With Redis a reader goes on exactly where it was; without, it is told to start from the stored text.
        if (redis) Assert.Equal([3, 4], events.Select(e => e.Seq));
        else Assert.Equal("before ", (string?)events.Single(e => e.Name == "notice").Data["content"]);
    }

    [Fact]
    public async Task A_run_of_a_killed_process_is_taken_over_when_its_lease_has_ended()
    {
        await using var chat = await StartAsync(redis: false);
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "first");
        // What a kill -9 in the middle of a reply leaves behind.
        await chat.StopServiceAsync();
        await chat.Database.ExecuteAsync($"""
            update messages set status = 'streaming', content = 'You said: ' where role = 'assistant';
            update runs set status = 'running', owner = '{Guid.NewGuid()}', lease_expires_at = now() + interval '1 second', last_seq = 2
            """);
        await chat.StartServiceAsync();

        var again = person with { Http = chat.CreateClientFor(person) };
        await Eventually.TrueAsync(async () => (string?)(await again.LastMessageAsync(session))["status"] == "complete");
        Assert.Equal("You said: first", (string?)(await again.LastMessageAsync(session))["content"]);
        Assert.Equal("You said: ", chat.Engine.Requests.Last().ContinueFrom);
    }

    [Fact]
    public async Task A_run_that_breaks_every_process_is_given_up_with_a_stored_error()
    {
        await using var chat = await StartAsync(redis: false);
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "poison");
        await chat.StopServiceAsync();
        await chat.Database.ExecuteAsync("""
            update messages set status = 'streaming', content = 'half' where role = 'assistant';
            update runs set status = 'running', owner = null, attempts = 4
            """);
        await chat.StartServiceAsync();

        var again = person with { Http = chat.CreateClientFor(person) };
        await Eventually.TrueAsync(async () => (string?)(await again.LastMessageAsync(session))["status"] == "failed");
        var reply = await again.LastMessageAsync(session);
        Assert.Equal("gave-up", (string?)reply["error"]!["type"]);
        Assert.Equal("half", (string?)reply["content"]);
    }

    [Fact]
    public async Task A_finished_run_whose_log_is_gone_is_replayed_from_its_stored_reply()
    {
        await using var chat = await StartAsync(redis: false);
        var person = chat.CreatePerson();
        var session = await person.OpenSessionAsync();
        var events = await person.AskAsync(session, "remember");
        var run = events[0].Data["runId"]!.GetValue<Guid>();
        await chat.StopServiceAsync();
        await chat.StartServiceAsync();
        var again = person with { Http = chat.CreateClientFor(person) };

        await using var whole = await again.ResumeAsync(run, 0);
        await using var rest = await again.ResumeAsync(run, 2);

        Assert.Equal(["run", "token", "done"], (await whole.ReadToEndAsync()).Select(e => e.Name));
        Assert.Equal("You said: remember", (string?)Assert.Single(await rest.ReadToEndAsync()).Data["message"]!["content"]);
    }
}
