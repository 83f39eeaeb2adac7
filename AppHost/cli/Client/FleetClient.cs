using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Fleet.Cli.Running;
using Fleet.Provisioning;

namespace Fleet.Cli.Client;

/// <summary>The fleet's public API as the administrator, through the gateway, like any other client.</summary>
internal sealed class FleetClient : IDisposable
{
    private readonly HttpClient _http;

    private FleetClient(HttpClient http) => _http = http;

    public static async Task<FleetClient> SignInAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        RunningFleet.Require(paths);
        var gateway = FleetState.Read(paths)?.Address("gateway") ?? throw new CommandException("The gateway has no address yet. See ./fleet status");
        if (!File.Exists(paths.AdminPasswordFile))
            throw new CommandException($"There is no administrator's password in {paths.AdminPasswordFile}.");

        // Local and often slow on purpose: the models answer when they can.
        var client = new FleetClient(new HttpClient { BaseAddress = new Uri(gateway), Timeout = Timeout.InfiniteTimeSpan });
        var password = (await File.ReadAllTextAsync(paths.AdminPasswordFile, cancellationToken)).Trim();
        var tokens = await client.PostAsync("api/auth/login", new JsonObject { ["username"] = "admin", ["password"] = password }, cancellationToken);
        client._http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (string?)tokens["accessToken"]);
        return client;
    }

    public async Task<JsonNode> GetAsync(string path, CancellationToken cancellationToken) =>
        await ReadAsync(await _http.GetAsync(path, cancellationToken), cancellationToken);

    public async Task<JsonNode> PostAsync(string path, JsonNode body, CancellationToken cancellationToken) =>
        await ReadAsync(await _http.PostAsJsonAsync(path, body, cancellationToken), cancellationToken);

    public async Task<JsonNode> UploadAsync(string path, FileInfo file, CancellationToken cancellationToken)
    {
        using var form = new MultipartFormDataContent();
        form.Add(new StreamContent(file.OpenRead()), "file", file.Name);
        return await ReadAsync(await _http.PostAsync(path, form, cancellationToken), cancellationToken);
    }

    /// <summary>Posts and leaves the answer's body open as a stream of server-sent events.</summary>
    public async Task<HttpResponseMessage> OpenStreamAsync(string path, JsonNode body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Accept.ParseAdd("text/event-stream");
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
            throw await ProblemAsync(response, cancellationToken);
        return response;
    }

    public void Dispose() => _http.Dispose();

    private static async Task<JsonNode> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using (response)
        {
            if (!response.IsSuccessStatusCode)
                throw await ProblemAsync(response, cancellationToken);
            return await response.Content.ReadFromJsonAsync<JsonNode>(cancellationToken) ?? new JsonObject();
        }
    }

    private static async Task<CommandException> ProblemAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var where = $"{response.RequestMessage?.Method} {response.RequestMessage?.RequestUri?.PathAndQuery}";
        try
        {
            var problem = await response.Content.ReadFromJsonAsync<JsonNode>(cancellationToken);
            return new CommandException($"{where}: {(int)response.StatusCode} {problem?["title"]} {problem?["detail"]} (trace {problem?["traceId"]})");
        }
        catch (System.Text.Json.JsonException)
        {
            return new CommandException(response.StatusCode == HttpStatusCode.NotFound
                ? $"{where} is not there. Is this fleet of another version?"
                : $"{where}: {(int)response.StatusCode} {response.ReasonPhrase}");
        }
    }
}
