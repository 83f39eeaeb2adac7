using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Fleet.Gateway.Tests;

public sealed class RoutingTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    [Theory]
    [InlineData("/api/sessions", "chat")]
    [InlineData("/api/sessions/42/messages", "chat")]
    [InlineData("/api/runs/42/events?after=3", "chat")]
    [InlineData("/api/messages/42/feedback", "chat")]
    [InlineData("/api/llm/models", "chat")]
    [InlineData("/api/templates", "chat")]
    [InlineData("/api/tools", "chat")]
    [InlineData("/api/mcp-servers", "chat")]
    [InlineData("/api/memories", "chat")]
    [InlineData("/api/workflows/7/runs", "chat")]
    [InlineData("/api/shares/7", "chat")]
    [InlineData("/api/v1/generate/recipe", "chat")]
    [InlineData("/api/v1/circuit-breaker/status", "chat")]
    [InlineData("/v1/models", "chat")]
    [InlineData("/v1/chat/completions", "chat")]
    [InlineData("/ws/chat/42", "chat")]
    [InlineData("/api/collections", "knowledge")]
    [InlineData("/api/collections/42/documents", "knowledge")]
    [InlineData("/api/documents/42/content", "knowledge")]
    [InlineData("/api/v1/search/semantic", "knowledge")]
    [InlineData("/api/analytics/usage/me", "analytics")]
    [InlineData("/api/notifications", "notification")]
    [InlineData("/api/notifications/stream-of-another-name", "notification")]
    [InlineData("/api/admin/models", "inference")]
    [InlineData("/", "web")]
    [InlineData("/c/0198", "web")]
    [InlineData("/assets/index-abc.js", "web")]
    [InlineData("/admin", "web")]
    public async Task Each_path_reaches_its_service(string path, string service)
    {
        using var client = fleet.CreateClient();

        var answer = await client.GetFromJsonAsync<Upstream.Description>(path);

        Assert.Equal(service, answer!.service);
        Assert.Equal(path.Split('?')[0], answer.path);
    }

    [Theory]
    [InlineData("/.well-known/openid-configuration")]
    [InlineData("/connect/token")]
    public async Task OpenID_Connect_paths_reach_auth(string path)
    {
        using var client = fleet.CreateClient();

        using var answer = path == "/connect/token" ? await client.PostAsync(path, null) : await client.GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains(path == "/connect/token" ? "access_token" : "jwks_uri", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/METRICS")]
    [InlineData("/metrics/")]
    [InlineData("/%6Detrics")]
    [InlineData("/api/../metrics")]
    [InlineData("/health/startup")]
    [InlineData("/api/unknown")]
    [InlineData("/api")]
    [InlineData("/bff/session")]
    public async Task What_is_not_public_is_not_found_and_reaches_nobody(string path)
    {
        using var client = fleet.CreateClient();
        var seen = fleet["web"].Seen.Count;

        using var answer = await client.GetAsync(path);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal(seen, fleet["web"].Seen.Count);
    }

    [Fact]
    public async Task Grpc_is_refused()
    {
        using var client = fleet.CreateClient();
        using var body = new ByteArrayContent([0, 0, 0, 0, 0]);
        body.Headers.ContentType = new("application/grpc");

        using var answer = await client.PostAsync("/fleet.inference.v1.Inference/Generate", body);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task The_page_is_read_only()
    {
        using var client = fleet.CreateClient();

        using var answer = await client.PostAsync("/c/42", null);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
        Assert.Equal("urn:fleet:problem:method-not-allowed", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Metrics_are_served_on_the_management_endpoint_only()
    {
        using var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var management = new Uri($"http://{free.LocalEndpoint}");
        free.Stop();
        await using var gateway = await fleet.StartAsync(("Kestrel:Endpoints:management:Url", management.ToString()));
        using var client = gateway.CreateClient();

        using var outside = await client.GetAsync("/metrics");
        using var inside = await client.GetAsync(new Uri(management, "/metrics"));

        Assert.Equal(HttpStatusCode.NotFound, outside.StatusCode);
        Assert.Equal(HttpStatusCode.OK, inside.StatusCode);
        Assert.Equal("text/plain", inside.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task An_error_of_a_service_passes_untouched()
    {
        using var client = fleet.CreateClient();

        using var answer = await client.GetAsync("/api/sessions/teapot");

        Assert.Equal((HttpStatusCode)418, answer.StatusCode);
        Assert.Equal("short and stout", await answer.Content.ReadAsStringAsync());
    }
}
