using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Fleet.Testing;
using Xunit;

namespace Fleet.FleetTesting;

/// <summary>A registered person with a client that speaks to the gateway only.</summary>
public sealed class FleetUser : IDisposable
{
    /// <summary>Everybody's.</summary>
    public const string Password = "a long enough passphrase 42";

    private FleetUser(HttpClient client, string name, string token)
    {
        Client = client;
        Name = name;
        Token = token;
    }

    public HttpClient Client { get; }

    public string Name { get; }

    public string Token { get; }

    public static async Task<FleetUser> RegisterAsync(FleetFixture fleet)
    {
        var name = "user" + Guid.NewGuid().ToString("N")[..12];
        var client = fleet.CreateClient();
        using (var registered = await client.PostAsJsonAsync("/api/auth/register", new { username = name, email = name + "@example.test", password = Password }))
            await AssertStatusAsync(HttpStatusCode.Created, registered);
        var token = await LogInAsync(client, name, Password);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return new FleetUser(client, name, token);
    }

    public static async Task<string> LogInAsync(HttpClient client, string name, string password)
    {
        using var response = await client.PostAsJsonAsync("/api/auth/login", new { username = name, password });
        await AssertStatusAsync(HttpStatusCode.OK, response);
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("accessToken").GetString()!;
    }

    public async Task<JsonElement> GetAsync(string path)
    {
        using var response = await Client.GetAsync(path);
        await AssertStatusAsync(HttpStatusCode.OK, response);
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    public async Task<JsonElement> PostAsync(string path, object body)
    {
        using var response = await Client.PostAsJsonAsync(path, body);
        Assert.True(response.IsSuccessStatusCode, $"POST {path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    public async Task<Guid> CreateSessionAsync(object config) =>
        (await PostAsync("/api/sessions", new { title = "test", config })).GetProperty("id").GetGuid();

    /// <summary>Posts a message and yields the events of its run as they arrive.</summary>
    public async IAsyncEnumerable<(string Type, JsonElement Data)> StreamAsync(Guid session, string content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/sessions/{session}/messages") { Content = JsonContent.Create(new { content }) };
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await AssertStatusAsync(HttpStatusCode.OK, response);
        await foreach (var item in ReadAsync(response)) yield return item;
    }

    /// <summary>The events of a run after <paramref name="after"/>, until it ends or the connection does.</summary>
    public async IAsyncEnumerable<(string Type, JsonElement Data)> ResumeAsync(Guid run, long after)
    {
        using var response = await Client.GetAsync($"/api/runs/{run}/events?after={after}", HttpCompletionOption.ResponseHeadersRead);
        await AssertStatusAsync(HttpStatusCode.OK, response);
        await foreach (var item in ReadAsync(response)) yield return item;
    }

    /// <summary>Posts a message and waits for the whole reply.</summary>
    public async Task<Reply> AskAsync(Guid session, string content)
    {
        var reply = new Reply();
        await foreach (var (type, data) in StreamAsync(session, content)) reply.Add(type, data);
        return reply;
    }

    public async Task<List<JsonElement>> MessagesAsync(Guid session) =>
        [.. (await GetAsync($"/api/sessions/{session}/messages")).GetProperty("items").EnumerateArray()];

    /// <summary>The totals of this person's usage.</summary>
    public async Task<JsonElement> UsageAsync() => (await GetAsync("/api/analytics/usage/me")).GetProperty("totals");

    /// <summary>Uploads a text file and waits until it can be found.</summary>
    public async Task<Guid> IngestAsync(Guid collection, string path)
    {
        using var form = new MultipartFormDataContent();
        using var file = new ByteArrayContent(await File.ReadAllBytesAsync(path));
        file.Headers.ContentType = new MediaTypeHeaderValue("text/markdown");
        form.Add(file, "file", Path.GetFileName(path));
        using var response = await Client.PostAsync($"/api/collections/{collection}/documents", form);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        var id = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
        await Eventually.TrueAsync(async () =>
        {
            var document = await GetAsync($"/api/documents/{id}");
            var status = document.GetProperty("status").GetString();
            Assert.NotEqual("failed", status);
            return status == "indexed";
        }, "the document was not indexed");
        return id;
    }

    public async Task<HttpStatusCode> StatusAsync(HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = JsonContent.Create(body);
        using var response = await Client.SendAsync(request);
        return response.StatusCode;
    }

    public void Dispose() => Client.Dispose();

    private static async IAsyncEnumerable<(string Type, JsonElement Data)> ReadAsync(HttpResponseMessage response)
    {
        await using var stream = await response.Content.ReadAsStreamAsync();
        await foreach (var item in SseParser.Create(stream).EnumerateAsync())
            yield return (item.EventType, JsonElement.Parse(item.Data));
    }

    // The body is read only when it is wanted: reading it would wait for the end of a stream.
    private static async Task AssertStatusAsync(HttpStatusCode expected, HttpResponseMessage response)
    {
        if (response.StatusCode == expected) return;
        Assert.Fail($"{response.RequestMessage?.Method} {response.RequestMessage?.RequestUri?.PathAndQuery}: {(int)response.StatusCode}, expected {(int)expected}. {await response.Content.ReadAsStringAsync()}");
    }
}

/// <summary>A reply as its reader saw it.</summary>
public sealed class Reply
{
    public List<long> Sequence { get; } = [];

    public Guid RunId { get; private set; }

    public string Text { get; private set; } = "";

    public int Tokens { get; private set; }

    public List<JsonElement> Citations { get; } = [];

    public JsonElement? Done { get; private set; }

    public JsonElement? Error { get; private set; }

    public void Add(string type, JsonElement data)
    {
        Sequence.Add(data.GetProperty("seq").GetInt64());
        switch (type)
        {
            case "run":
                RunId = data.GetProperty("runId").GetGuid();
                break;
            case "token":
                Text += data.GetProperty("text").GetString();
                Tokens++;
                break;
            case "citation":
                Citations.Add(data.Clone());
                break;
            case "done":
                Done = data.GetProperty("message").Clone();
                break;
            case "error":
                Error = data.Clone();
                break;
        }
    }

    /// <summary>Nothing lost, nothing twice.</summary>
    public void AssertDense() => Assert.Equal(Enumerable.Range(1, Sequence.Count).Select(number => (long)number), Sequence);
}
