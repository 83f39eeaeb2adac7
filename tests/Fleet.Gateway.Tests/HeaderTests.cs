using System.Net.Http.Json;

namespace Fleet.Gateway.Tests;

public sealed class HeaderTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    [Theory]
    [InlineData("X-Fleet-User")]
    [InlineData("x-fleet-tenant")]
    [InlineData("X-Forwarded-User")]
    [InlineData("X-Forwarded-Client-Cert")]
    [InlineData("X-Original-URL")]
    [InlineData("X-Real-IP")]
    [InlineData("Forwarded")]
    [InlineData("Remote-User")]
    public async Task A_claimed_identity_never_reaches_a_service(string name)
    {
        using var client = fleet.CreateClient();
        client.DefaultRequestHeaders.TryAddWithoutValidation(name, "admin");

        var answer = await client.GetFromJsonAsync<Upstream.Description>("/api/sessions");

        Assert.False(answer!.headers.ContainsKey(name.ToLowerInvariant()));
    }

    [Fact]
    public async Task Forwarding_headers_are_set_afresh()
    {
        using var client = fleet.CreateClient();
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Forwarded-For", "203.0.113.9");
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Forwarded-Host", "evil.example");
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Forwarded-Proto", "https");

        var answer = await client.GetFromJsonAsync<Upstream.Description>("/api/sessions");

        Assert.Equal("127.0.0.1", answer!.headers["x-forwarded-for"]);
        Assert.Equal(fleet.Address.Authority, answer.headers["x-forwarded-host"]);
        Assert.Equal("http", answer.headers["x-forwarded-proto"]);
    }

    [Fact]
    public async Task A_trusted_ingress_is_believed()
    {
        await using var gateway = await fleet.StartAsync(("Gateway:TrustedProxies:0", "127.0.0.0/8"));
        using var client = gateway.CreateClient();
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Forwarded-For", "203.0.113.9");
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Forwarded-Proto", "https");

        using var answer = await client.GetAsync("/api/sessions");
        var description = await answer.Content.ReadFromJsonAsync<Upstream.Description>();

        Assert.Equal("203.0.113.9", description!.headers["x-forwarded-for"]);
        Assert.Equal("https", description.headers["x-forwarded-proto"]);
        Assert.True(answer.Headers.Contains("Strict-Transport-Security"));
    }

    [Fact]
    public async Task A_valid_token_travels_as_it_is()
    {
        var token = fleet.Tokens.Issue(Guid.NewGuid());
        using var client = fleet.CreateClient(token);

        var answer = await client.GetFromJsonAsync<Upstream.Description>("/api/sessions");

        Assert.Equal("Bearer " + token, answer!.headers["authorization"]);
    }

    [Fact]
    public async Task The_trace_goes_on_at_the_service()
    {
        const string traceId = "0af7651916cd43dd8448eb211c80319c";
        using var client = fleet.CreateClient();
        client.DefaultRequestHeaders.Add("traceparent", $"00-{traceId}-b7ad6b7169203331-01");

        var answer = await client.GetFromJsonAsync<Upstream.Description>("/api/sessions");

        Assert.Contains(traceId, answer!.headers["traceparent"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/sessions")]
    [InlineData("/api/unknown")]
    [InlineData("/health")]
    [InlineData("/")]
    public async Task Every_answer_carries_the_security_headers(string path)
    {
        using var client = fleet.CreateClient();

        using var answer = await client.GetAsync(path);

        Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("DENY", answer.Headers.GetValues("X-Frame-Options").Single());
        Assert.Equal("no-referrer", answer.Headers.GetValues("Referrer-Policy").Single());
        var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.False(answer.Headers.Contains("Server"));
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Cross_origin_calls_are_allowed_for_listed_origins_only()
    {
        await using var gateway = await fleet.StartAsync(("Gateway:AllowedOrigins:0", "https://portal.example"));
        using var client = gateway.CreateClient();

        Assert.Equal("https://portal.example", await PreflightAsync("https://portal.example"));
        Assert.Null(await PreflightAsync("https://evil.example"));

        async Task<string?> PreflightAsync(string origin)
        {
            using var request = new HttpRequestMessage(HttpMethod.Options, "/api/sessions");
            request.Headers.Add("Origin", origin);
            request.Headers.Add("Access-Control-Request-Method", "POST");
            using var answer = await client.SendAsync(request);
            return answer.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) ? values.Single() : null;
        }
    }
}
