using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Chat.Tests.Fakes;
using Fleet.Testing;

namespace Fleet.Chat.Tests;

/// <summary>The chat service's real Program with a database, a broker prefix and an engine of its own.</summary>
public sealed class ChatFixture : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private TestTokens _tokens = null!;
    private ServiceFactory<Program> _service = null!;
    private Dictionary<string, string?> _configuration = null!;

    public FakeEngine Engine { get; private set; } = null!;

    internal Uri Address => _service.Address;

    internal TestDatabase Database => _database;

    internal string Prefix { get; } = BackingServers.NewPrefix();

    internal TestTokens Tokens => _tokens;

    /// <summary>Set before the start to override.</summary>
    internal Dictionary<string, string?> Overrides { get; } = new()
    {
        ["Runs:CheckpointInterval"] = "00:00:00.050",
        ["Runs:RecoveryInterval"] = "00:00:00.100",
        ["Runs:LeaseDuration"] = "00:00:02",
        ["Generation:ReconnectWindow"] = "00:00:05",
        ["Generation:FirstAnswerWindow"] = "00:00:00.300",
        ["Generation:FirstRetryDelay"] = "00:00:00.020",
    };

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _tokens = await TestTokens.StartAsync();
        Engine = await FakeEngine.StartAsync();
        _configuration = new Dictionary<string, string?>(_tokens.Configuration)
        {
            ["ConnectionStrings:chatdb"] = _database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["ConnectionStrings:redis"] = null,
            ["Messaging:Prefix"] = Prefix,
            ["services:inference:grpc:0"] = Engine.Address,
            ["services:knowledge:grpc:0"] = Engine.Address,
        };
        await StartServiceAsync();
    }

    /// <summary>Starts the service (again) on the same database.</summary>
    internal async Task StartServiceAsync()
    {
        var settings = new Dictionary<string, string?>(_configuration);
        foreach (var (key, value) in Overrides) settings[key] = value;
        _service = await ServiceFactory<Program>.StartAsync(settings);
    }

    internal async Task StopServiceAsync() => await _service.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        await Engine.DisposeAsync();
        await _tokens.DisposeAsync();
        await _database.DisposeAsync();
    }

    internal ChatPerson CreatePerson()
    {
        var id = Guid.NewGuid();
        Engine.Welcome(id);
        var token = _tokens.Issue(id);
        return new ChatPerson(id, token, _service.CreateClient(token));
    }

    internal HttpClient CreateClientFor(ChatPerson person) => _service.CreateClient(person.Token);

    internal HttpClient CreateAnonymous() => _service.CreateClient();
}

/// <summary>Somebody with an account, and what they do all the time.</summary>
internal sealed record ChatPerson(Guid Id, string Token, HttpClient Http)
{
    public async Task<Guid> OpenSessionAsync(object? config = null)
    {
        using var response = await Http.PostAsJsonAsync("/api/sessions", new { config });
        Assert.Equal(System.Net.HttpStatusCode.Created, response.StatusCode);
        return (await ReadAsync(response))["id"]!.GetValue<Guid>();
    }

    /// <summary>Asks and reads the whole stream.</summary>
    public async Task<List<StreamedEvent>> AskAsync(Guid session, string content)
    {
        await using var stream = await OpenStreamAsync(session, content);
        return await stream.ReadToEndAsync();
    }

    public async Task<EventReader> OpenStreamAsync(Guid session, string content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/sessions/{session}/messages") { Content = JsonContent.Create(new { content }) };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        return await EventReader.OpenAsync(await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead));
    }

    public async Task<EventReader> ResumeAsync(Guid run, long after) =>
        await EventReader.OpenAsync(await Http.GetAsync($"/api/runs/{run}/events?after={after}", HttpCompletionOption.ResponseHeadersRead));

    /// <summary>Asks without listening: the ids of run and reply.</summary>
    public async Task<(Guid Run, Guid Message)> PostAsync(Guid session, string content)
    {
        using var response = await Http.PostAsJsonAsync($"/api/sessions/{session}/messages", new { content });
        Assert.Equal(System.Net.HttpStatusCode.Accepted, response.StatusCode);
        var body = await ReadAsync(response);
        return (body["runId"]!.GetValue<Guid>(), body["messageId"]!.GetValue<Guid>());
    }

    public async Task<JsonArray> MessagesAsync(Guid session) =>
        (await Http.GetFromJsonAsync<JsonObject>($"/api/sessions/{session}/messages"))!["items"]!.AsArray();

    public async Task<JsonObject> LastMessageAsync(Guid session) => (await MessagesAsync(session))[^1]!.AsObject();

    public static async Task<JsonObject> ReadAsync(HttpResponseMessage response) =>
        JsonNode.Parse(await response.Content.ReadAsStringAsync())?.AsObject() ?? throw new JsonException("The body is null.");
}

internal sealed record StreamedEvent(string? Name, JsonObject Data)
{
    public long Seq => Data["seq"]!.GetValue<long>();
}

/// <summary>Reads server-sent events as a browser does.</summary>
internal sealed class EventReader(HttpResponseMessage response, StreamReader reader) : IAsyncDisposable
{
    public HttpResponseMessage Response => response;

    public static async Task<EventReader> OpenAsync(HttpResponseMessage response) =>
        new(response, new StreamReader(await response.Content.ReadAsStreamAsync()));

    public async Task<List<StreamedEvent>> ReadToEndAsync()
    {
        var events = new List<StreamedEvent>();
        while (await NextAsync() is { } next) events.Add(next);
        return events;
    }

    /// <summary>Null at the end of the stream.</summary>
    public async Task<StreamedEvent?> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        string? name = null;
        while (await reader.ReadLineAsync(patience.Token) is { } line)
        {
            if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line[7..];
            if (line.StartsWith("data: ", StringComparison.Ordinal)) return new StreamedEvent(name, JsonNode.Parse(line[6..])!.AsObject());
        }

        return null;
    }

    public async Task<StreamedEvent> NextOfAsync(string name)
    {
        while (await NextAsync() is { } next)
        {
            if (next.Name == name) return next;
        }

        throw new InvalidOperationException($"The stream ended without '{name}'.");
    }

    public ValueTask DisposeAsync()
    {
        reader.Dispose();
        response.Dispose();
        return ValueTask.CompletedTask;
    }
}
