using System.Collections.Concurrent;
using System.Net.Http.Json;
using Fleet.Chat.Tests.Fakes;
using Fleet.Contracts.Events;
using Fleet.Testing;
using Grpc.Core;
using MassTransit;

namespace Fleet.Chat.Tests.Events;

public sealed class EventTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    [Fact]
    public async Task Every_ending_is_published_once_over_the_broker()
    {
        var person = chat.CreatePerson();
        var heard = new ConcurrentQueue<IntegrationEvent>();
        await using var listener = await Listener.StartAsync(chat.Prefix, heard);
        var session = await person.OpenSessionAsync();
        await person.AskAsync(session, "one");
        chat.Engine.Scripts.Enqueue(FakeEngine.Refuse(StatusCode.ResourceExhausted));
        await person.AskAsync(session, "two");
        var held = new HeldReply();
        chat.Engine.Scripts.Enqueue(held.RunAsync);
        var (run, _) = await person.PostAsync(session, "three");
        held.Send("a");
        await using (var stream = await person.ResumeAsync(run, 0)) await stream.NextOfAsync("token");
        using var cancelled = await person.Http.PostAsync($"/api/runs/{run}/cancel", null);
        using var plain = await person.Http.PostAsJsonAsync("/api/llm/generate", new { prompt = "four" });
        using var openAi = await person.Http.PostAsJsonAsync("/v1/chat/completions", new { model = "fake/chat", messages = new[] { new { role = "user", content = "five" } } });

        await Eventually.TrueAsync(async () => (long)(await chat.Database.ScalarAsync($"select count(*) from outbox_messages where published_at is not null and payload::text like '%{person.Id}%'"))! == 8
            && heard.Count >= 8);

        Assert.Equal(8, heard.Select(e => e.EventId).Distinct().Count());
        Assert.Equal(8, heard.Count);
        Assert.Equal(3, heard.OfType<ChatMessageReceived>().Count());
        Assert.Equal("engine-busy", Assert.Single(heard.OfType<ReplyFailed>()).ErrorType);
        var completed = heard.OfType<ReplyCompleted>().ToList();
        Assert.Equal(["cancelled", "stop", "stop", "stop"], completed.Select(e => e.FinishReason).Order());
        Assert.Equal(["chat", "chat", "generate", "openai"], completed.Select(e => e.Surface).Order());
        Assert.All(completed, e => Assert.Equal(person.Id, e.UserId));
        Assert.Equal(1, completed.Single(e => e.FinishReason == "cancelled").CompletionTokens);
        Assert.All(completed, e => Assert.Equal(7, e.PromptTokens));
    }

    [Fact]
    public async Task An_erased_persons_conversations_go_and_no_one_elses()
    {
        var (erased, other) = (chat.CreatePerson(), chat.CreatePerson());
        var session = await erased.OpenSessionAsync();
        await erased.AskAsync(session, "forget me");
        var kept = await other.OpenSessionAsync();
        await using var listener = await Listener.StartAsync(chat.Prefix, []);

        await listener.PublishAsync(new UserErased { UserId = erased.Id });

        await Eventually.TrueAsync(async () => (long)(await chat.Database.ScalarAsync($"select count(*) from sessions where user_id = '{erased.Id}'"))! == 0);
        Assert.Equal(0L, await chat.Database.ScalarAsync($"select count(*) from messages where session_id = '{session}'"));
        Assert.Equal(1L, await chat.Database.ScalarAsync($"select count(*) from sessions where id = '{kept}'"));
    }

    /// <summary>A service of another kind, listening on the real broker.</summary>
    private sealed class Listener(IBusControl bus) : IAsyncDisposable
    {
        public static async Task<Listener> StartAsync(string prefix, ConcurrentQueue<IntegrationEvent> heard)
        {
            var uri = new Uri(await BackingServers.RabbitMqAsync());
            var bus = Bus.Factory.CreateUsingRabbitMq(rabbit =>
            {
                rabbit.Host(uri);
                rabbit.MessageTopology.SetEntityNameFormatter(new PrefixEntityNameFormatter(rabbit.MessageTopology.EntityNameFormatter, prefix));
                rabbit.ReceiveEndpoint(prefix + "listener" + Guid.NewGuid().ToString("N"), endpoint =>
                {
                    endpoint.AutoDelete = true;
                    endpoint.Durable = false;
                    endpoint.Handler<ChatMessageReceived>(Keep);
                    endpoint.Handler<ReplyCompleted>(Keep);
                    endpoint.Handler<ReplyFailed>(Keep);
                });
            });
            await bus.StartAsync();
            return new Listener(bus);

            Task Keep<T>(ConsumeContext<T> context) where T : IntegrationEvent
            {
                heard.Enqueue(context.Message);
                return Task.CompletedTask;
            }
        }

        public Task PublishAsync<T>(T message) where T : class => bus.Publish(message);

        public async ValueTask DisposeAsync() => await bus.StopAsync();
    }
}
