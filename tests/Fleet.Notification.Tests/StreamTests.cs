using System.Text.Json;
using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;
using Fleet.Testing;

namespace Fleet.Notification.Tests;

public sealed class StreamTests(NotificationFixture fleet)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Guid _user = Guid.CreateVersion7();

    [Fact]
    public async Task A_notification_arrives_live_and_only_at_its_reader()
    {
        using var stream = await OpenAsync(fleet.Service.Address, _user);
        Assert.Equal("unread", (await stream.NextAsync()).Name);

        var indexed = Events.Indexed(_user);
        await fleet.DeliverAsync(Events.Indexed(Guid.CreateVersion7()), indexed);

        var arrived = await stream.NextAsync();
        Assert.Equal("notification", arrived.Name);
        Assert.Equal(indexed.DocumentId.ToString(), arrived.Notification().Parameters["documentId"]);
        Assert.Equal(arrived.Notification().Id.ToString(), arrived.Id);
    }

    [Fact]
    public async Task A_second_replica_delivers_what_the_first_one_stored()
    {
        // Same database, but queues of its own that nobody publishes to: it learns of notifications through PostgreSQL alone.
        await using var replica = await ServiceFactory<NotificationView>.StartAsync(new Dictionary<string, string?>(fleet.Tokens.Configuration)
        {
            ["ConnectionStrings:notificationdb"] = fleet.Database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
        });
        using var stream = await OpenAsync(replica.Address, _user);
        await stream.NextAsync();

        await fleet.DeliverAsync(Events.Indexed(_user));

        Assert.Equal("notification", (await stream.NextAsync()).Name);
    }

    [Fact]
    public async Task Coming_back_replays_what_was_missed()
    {
        await fleet.DeliverAsync(Events.Indexed(_user, "seen.md"));
        var seen = (await fleet.ListAsync(_user)).Items[0].Id;
        await fleet.DeliverAsync(Events.Indexed(_user, "missed.md"));

        using var stream = await OpenAsync(fleet.Service.Address, _user, seen);
        await stream.NextAsync();
        await fleet.DeliverAsync(Events.Indexed(_user, "live.md"));

        Assert.Equal("missed.md", (await stream.NextAsync()).Notification().Parameters["name"]);
        Assert.Equal("live.md", (await stream.NextAsync()).Notification().Parameters["name"]);
    }

    [Fact]
    public async Task An_idle_stream_is_kept_open_by_comments()
    {
        using var stream = await OpenAsync(fleet.Service.Address, _user);

        Assert.Equal(": ping", await stream.NextCommentAsync());
    }

    [Fact]
    public async Task Administrators_see_a_failed_model_live()
    {
        using var stream = await OpenAsync(fleet.Service.Address, _user, roles: "administrator");
        await stream.NextAsync();
        var model = "model-" + Guid.NewGuid();

        await fleet.DeliverAsync(new ModelFailed { Model = model, Reason = "gone" });

        StreamEvent arrived;
        do
            arrived = await stream.NextAsync();
        while (arrived.Notification().Parameters.GetValueOrDefault("model") != model);

        Assert.Equal("model.failed", arrived.Notification().Kind);
    }

    private async Task<EventStream> OpenAsync(Uri address, Guid user, Guid? lastSeen = null, params string[] roles)
    {
        var client = new HttpClient { BaseAddress = address };
        client.DefaultRequestHeaders.Authorization = new("Bearer", fleet.Tokens.Issue(user, roles));
        if (lastSeen is { } id)
            client.DefaultRequestHeaders.Add("Last-Event-ID", id.ToString());

        var response = await client.GetAsync("/api/notifications/stream", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new EventStream(client, new StreamReader(await response.Content.ReadAsStreamAsync()));
    }

    private sealed record StreamEvent(string Name, string? Id, string Data)
    {
        private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);

        public NotificationView Notification() => JsonSerializer.Deserialize<NotificationView>(Data, Web)!;
    }

    private sealed class EventStream(HttpClient client, StreamReader reader) : IDisposable
    {
        public async Task<StreamEvent> NextAsync()
        {
            string? name = null, id = null, data = null;
            while (true)
            {
                var line = await ReadAsync();
                if (line.StartsWith("event: ", StringComparison.Ordinal))
                    name = line[7..];
                else if (line.StartsWith("id: ", StringComparison.Ordinal))
                    id = line[4..];
                else if (line.StartsWith("data: ", StringComparison.Ordinal))
                    data = line[6..];
                else if (line.Length == 0 && name is not null)
                    return new StreamEvent(name, id, data!);
            }
        }

        public async Task<string> NextCommentAsync()
        {
            while (true)
            {
                if (await ReadAsync() is { } line && line.StartsWith(':'))
                    return line;
            }
        }

        public void Dispose()
        {
            reader.Dispose();
            client.Dispose();
        }

        private async Task<string> ReadAsync()
        {
            using var limit = new CancellationTokenSource(Patience);
            return await reader.ReadLineAsync(limit.Token) ?? throw new EndOfStreamException("The stream ended.");
        }
    }
}
