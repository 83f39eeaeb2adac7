using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Fleet.Gateway.Tests;

public sealed class FailureTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    /// <summary>Port 9 (discard): nobody listens there.</summary>
    private const string Nobody = "http://127.0.0.1:9";

    [Fact]
    public async Task A_service_that_is_down_is_a_503_with_problem_details()
    {
        await using var gateway = await fleet.StartAsync(("services:chat:http:0", Nobody));
        using var client = gateway.CreateClient();

        using var answer = await client.PostAsJsonAsync("/api/sessions", new { title = "x" });
        var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("urn:fleet:problem:service-unavailable", problem.GetProperty("type").GetString());
        Assert.Equal(32, problem.GetProperty("traceId").GetString()!.Length);
        Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        Assert.DoesNotContain("127.0.0.1", problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_down_is_OpenAIs_error_object_on_v1()
    {
        await using var gateway = await fleet.StartAsync(("services:chat:http:0", Nobody));
        using var client = gateway.CreateClient();

        using var answer = await client.PostAsJsonAsync("/v1/chat/completions", new { model = "m" });
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("server_error", error.GetProperty("type").GetString());
        Assert.Equal("service_unavailable", error.GetProperty("code").GetString());
        Assert.Equal(32, error.GetProperty("trace_id").GetString()!.Length);
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    [Fact]
    public async Task A_service_without_an_address_is_a_503()
    {
        await using var gateway = await fleet.StartAsync(("services:chat:http:0", ""));
        using var client = gateway.CreateClient();

        using var answer = await client.GetAsync("/api/sessions");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
    }

    [Fact]
    public async Task A_service_that_breaks_off_is_a_502()
    {
        using var client = fleet.CreateClient();

        using var answer = await client.PostAsync("/api/sessions/break", null);

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Equal("urn:fleet:problem:bad-gateway", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_service_that_stays_silent_is_a_504()
    {
        using var silent = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var gateway = await fleet.StartAsync(
            ("ReverseProxy:Clusters:analytics:HttpRequest:ActivityTimeout", "00:00:00.300"),
            ("services:analytics:http:0", $"http://{silent.LocalEndpoint}"));
        using var client = gateway.CreateClient();

        using var answer = await client.GetAsync("/api/analytics/usage/me");

        Assert.Equal(HttpStatusCode.GatewayTimeout, answer.StatusCode);
        Assert.Equal("urn:fleet:problem:gateway-timeout", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Another_replica_takes_what_never_reached_the_first()
    {
        await using var gateway = await fleet.StartAsync(("services:chat:http:0", Nobody), ("services:chat:http:1", fleet["chat"].Address));
        using var client = gateway.CreateClient();

        for (var i = 0; i < 8; i++)
        {
            using var answer = await client.PostAsJsonAsync("/api/sessions", new { title = "x" });
            var description = await answer.Content.ReadFromJsonAsync<Upstream.Description>();

            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("{\"title\":\"x\"}".Length, description!.length);
        }
    }

    [Fact]
    public async Task A_write_that_broke_off_is_not_repeated()
    {
        await using var second = await Upstream.StartAsync("chat");
        await using var gateway = await fleet.StartAsync(("services:chat:http:1", second.Address));
        using var client = gateway.CreateClient();
        var seen = fleet["chat"].Seen.Count + second.Seen.Count;

        using var write = await client.PostAsync("/api/sessions/break", null);
        var writes = fleet["chat"].Seen.Count + second.Seen.Count - seen;
        using var read = await client.GetAsync("/api/sessions/break");
        var reads = fleet["chat"].Seen.Count + second.Seen.Count - seen - writes;

        Assert.Equal(HttpStatusCode.BadGateway, write.StatusCode);
        Assert.Equal(1, writes);
        Assert.Equal(2, reads);
    }

    [Theory]
    [InlineData("/api/sessions", 10)]
    [InlineData("/api/collections", 10)]
    [InlineData("/api/collections/42/documents", 101)]
    public async Task An_oversized_body_is_a_413_before_the_service_sees_it(string path, int limitMiB)
    {
        using var client = fleet.CreateClient();
        var seen = fleet["chat"].Seen.Count + fleet["knowledge"].Seen.Count;
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new EndlessContent(limitMiB * 1024L * 1024 + 1) };
        request.Headers.ExpectContinue = true;

        using var answer = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Equal("urn:fleet:problem:too-large", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString());
        Assert.Equal(seen, fleet["chat"].Seen.Count + fleet["knowledge"].Seen.Count);
    }

    [Fact]
    public async Task An_oversized_body_of_unknown_length_is_a_413_too()
    {
        using var client = fleet.CreateClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/sessions") { Content = new EndlessContent(11 * 1024 * 1024, announce: false) };
        request.Headers.TransferEncodingChunked = true;

        using var answer = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task A_document_of_a_hundred_megabytes_passes()
    {
        using var client = fleet.CreateClient();
        using var content = new EndlessContent(100 * 1024 * 1024);

        using var answer = await client.PostAsync("/api/collections/42/documents", content);
        var description = await answer.Content.ReadFromJsonAsync<Upstream.Description>();

        Assert.Equal(100 * 1024 * 1024, description!.length);
    }

    [Fact]
    public async Task Too_many_sign_ins_from_one_address_are_a_429()
    {
        await using var auth = await Upstream.StartAsync("auth");
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address), ("Gateway:SignInsPerMinute", "3"));
        using var client = gateway.CreateClient();

        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 5; i++)
        {
            using var answer = await client.PostAsJsonAsync(i % 2 == 0 ? "/api/auth/login" : "/api/auth/register", new { username = "u" });
            statuses.Add(answer.StatusCode);
            if (answer.StatusCode == HttpStatusCode.TooManyRequests) Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        }

        using var other = await client.PostAsync("/api/auth/refresh", null);

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests, HttpStatusCode.TooManyRequests], statuses);
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
    }

    private sealed class EndlessContent(long length, bool announce = true) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            var block = new byte[64 * 1024];
            for (var left = length; left > 0; left -= block.Length)
                await stream.WriteAsync(block.AsMemory(0, (int)Math.Min(left, block.Length)));
        }

        protected override bool TryComputeLength(out long computed)
        {
            computed = length;
            return announce;
        }
    }
}
