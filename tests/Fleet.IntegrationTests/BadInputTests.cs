using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Fleet.Testing;
using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>Every public route against callers who should not be there and bodies that make no sense: a clear 4xx, never a 5xx, nothing changed.</summary>
public sealed class BadInputTests(FleetFixture fleet)
{
    private static readonly Guid Unknown = Guid.Parse("0199d1a2-7c1e-7b1a-9a53-0f6c2a1b4c5d");

    /// <summary>Method, path, and a body of the right shape where one is expected.</summary>
    private static readonly (string Method, string Path, object? Body)[] ProtectedRoutes =
    [
        ("GET", "/api/auth/me", null),
        ("GET", "/api/auth/sessions", null),
        ("GET", "/api/auth/keys", null),
        ("POST", "/api/auth/keys", new { name = "key" }),
        ("DELETE", $"/api/auth/keys/{Unknown}", null),
        ("GET", "/api/sessions", null),
        ("POST", "/api/sessions", new { title = "t" }),
        ("GET", "/api/sessions/recent", null),
        ("GET", "/api/sessions/search?q=x", null),
        ("GET", $"/api/sessions/{Unknown}", null),
        ("PATCH", $"/api/sessions/{Unknown}", new { title = "t" }),
        ("DELETE", $"/api/sessions/{Unknown}", null),
        ("GET", $"/api/sessions/{Unknown}/messages", null),
        ("POST", $"/api/sessions/{Unknown}/messages", new { content = "hello" }),
        ("GET", $"/api/runs/{Unknown}/events", null),
        ("POST", $"/api/runs/{Unknown}/cancel", null),
        ("POST", $"/api/messages/{Unknown}/feedback", new { rating = "up" }),
        ("POST", "/api/llm/generate", new { prompt = "hello" }),
        ("GET", "/api/llm/models", null),
        ("GET", "/api/collections", null),
        ("POST", "/api/collections", new { name = "c" }),
        ("GET", $"/api/collections/{Unknown}", null),
        ("DELETE", $"/api/collections/{Unknown}", null),
        ("GET", $"/api/collections/{Unknown}/documents", null),
        ("GET", $"/api/documents/{Unknown}", null),
        ("GET", $"/api/documents/{Unknown}/content", null),
        ("GET", $"/api/documents/{Unknown}/chunks", null),
        ("GET", $"/api/documents/{Unknown}/events", null),
        ("POST", $"/api/documents/{Unknown}/reindex", null),
        ("DELETE", $"/api/documents/{Unknown}", null),
        ("POST", "/api/v1/search/semantic", new { query = "q" }),
        ("GET", "/api/analytics/usage/me", null),
        ("GET", "/api/analytics/usage", null),
        ("GET", "/api/notifications", null),
        ("GET", "/api/notifications/stream", null),
        ("PATCH", $"/api/notifications/{Unknown}", new { read = true }),
        ("GET", "/api/admin/models", null),
        ("GET", "/v1/models", null),
        ("GET", "/v1/models/nobody/has:this", null),
        ("POST", "/v1/chat/completions", new { model = "m", messages = new[] { new { role = "user", content = "hi" } } }),
        ("POST", "/v1/embeddings", new { model = "m", input = "hi" }),
        ("GET", $"/ws/chat/{Unknown}", null),
    ];

    private static readonly string[] BodyRoutes =
    [
        "POST /api/auth/register", "POST /api/auth/login", "POST /api/auth/refresh", "POST /api/auth/keys", "POST /api/sessions", "POST /api/llm/generate",
        "POST /api/collections", "POST /api/v1/search/semantic", "POST /v1/chat/completions", "POST /v1/embeddings",
    ];

    public static TheoryData<string, string, bool> WithoutRight()
    {
        var data = new TheoryData<string, string, bool>();
        foreach (var (method, path, body) in ProtectedRoutes) data.Add(method, path, body is not null);
        return data;
    }

    [Theory]
    [MemberData(nameof(WithoutRight))]
    public async Task No_token_a_tampered_one_and_a_foreign_one_are_401(string method, string path, bool _)
    {
        var user = await fleet.SharedUserAsync();
        await using var foreign = await TestTokens.StartAsync();
        var parts = user.Token.Split('.');
        var tampered = $"{parts[0]}.{parts[1]}.{new string('A', parts[2].Length)}";
        var body = ProtectedRoutes.First(route => route.Path == path && route.Method == method).Body;

        foreach (var token in new[] { null, tampered, foreign.Issue(Unknown), foreign.Expired(Unknown), "fk_" + new string('0', 40), "nonsense" })
        {
            using var client = fleet.CreateClient();
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            if (body is not null) request.Content = JsonContent.Create(body);
            if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);

            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{method} {path} answered {(int)response.StatusCode} to the token '{token?[..Math.Min(8, token.Length)]}'");
        }
    }

    [Fact]
    public async Task Unknown_ids_are_404_and_ids_of_the_wrong_shape_are_4xx()
    {
        var user = await fleet.SharedUserAsync();

        foreach (var (method, path, body) in ProtectedRoutes.Where(route => route.Path.Contains(Unknown.ToString(), StringComparison.Ordinal) && !route.Path.StartsWith("/ws", StringComparison.Ordinal)))
        {
            var unknown = await user.StatusAsync(new HttpMethod(method), path, body);
            Assert.True(unknown == HttpStatusCode.NotFound, $"{method} {path} answered {(int)unknown} to an unknown id");

            var wrong = (int)await user.StatusAsync(new HttpMethod(method), path.Replace(Unknown.ToString(), "not-an-id' OR 1=1", StringComparison.Ordinal), body);
            Assert.True(wrong is >= 400 and < 500, $"{method} {path} answered {wrong} to an id of the wrong shape");
        }
    }

    public static TheoryData<string> Bodies() => [.. BodyRoutes];

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Malformed_json_wrong_types_and_missing_fields_are_clear_4xx(string route)
    {
        var user = await fleet.SharedUserAsync();
        var method = route.Split(' ')[0];
        var path = route.Split(' ')[1];
        var nested = string.Concat(Enumerable.Repeat("[", 200));

        foreach (var body in new[] { "", "{", "[]", "null", "\"text\"", "42", "{\"username\":1,\"name\":[],\"query\":{},\"prompt\":{},\"title\":[],\"messages\":\"x\",\"input\":{},\"refreshToken\":{}}", nested, "{\"a\":\"\\ud800\"}", "\u0000" })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            using var response = await user.Client.SendAsync(request, TestContext.Current.CancellationToken);
            // An empty session is a legitimate session; anything else needs something said.
            if (path == "/api/sessions" && response.StatusCode == HttpStatusCode.Created && (body is "" or "null" || body.StartsWith("{\"a\"", StringComparison.Ordinal))) continue;

            Assert.True((int)response.StatusCode is >= 400 and < 500, $"{route} answered {(int)response.StatusCode} to {body}");
            await AssertReadableErrorAsync(path, response);
        }
    }

    [Fact]
    public async Task An_oversized_body_is_413_and_the_next_request_works()
    {
        var user = await fleet.SharedUserAsync();
        using var huge = new StringContent("{\"title\":\"" + new string('x', 12 * 1024 * 1024) + "\"}", Encoding.UTF8, "application/json");

        try
        {
            using var response = await user.Client.PostAsync("/api/sessions", huge, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        }
        catch (HttpRequestException)
        {
            // The server may close the connection before the body is through; either way it was refused.
        }

        Assert.Equal(HttpStatusCode.OK, await user.StatusAsync(HttpMethod.Get, "/api/sessions"));
    }

    [Fact]
    public async Task Cursors_limits_and_configurations_out_of_range_are_400()
    {
        var user = await fleet.SharedUserAsync();

        foreach (var path in new[] { "/api/sessions?limit=-1", "/api/sessions?limit=100000", "/api/sessions?cursor=garbage", "/api/notifications?limit=x", "/api/analytics/usage/me?from=yesterday" })
        {
            var status = (int)await user.StatusAsync(HttpMethod.Get, path);
            Assert.True(status == 400, $"GET {path} answered {status}");
        }

        foreach (var config in new object[] { new { temperature = -3 }, new { temperature = "hot" }, new { maxTokens = -1 }, new { topP = 7 } })
            Assert.Equal(HttpStatusCode.BadRequest, await user.StatusAsync(HttpMethod.Post, "/api/sessions", new { title = "t", config }));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, await user.StatusAsync(HttpMethod.Post, "/api/sessions", new { title = "t", config = new { model = "no-such-model" } }));
    }

    private static async Task AssertReadableErrorAsync(string path, HttpResponseMessage response)
    {
        var error = await response.Content.ReadFromJsonAsync<JsonElement>();
        if (path.StartsWith("/v1", StringComparison.Ordinal))
        {
            Assert.NotEmpty(error.GetProperty("error").GetProperty("message").GetString()!);
            return;
        }

        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.StartsWith("urn:fleet:problem:", error.GetProperty("type").GetString(), StringComparison.Ordinal);
        Assert.NotEmpty(error.GetProperty("traceId").GetString()!);
    }
}
