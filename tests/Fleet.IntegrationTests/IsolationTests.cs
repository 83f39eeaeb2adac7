using System.Net;
using Fleet.Testing;
using Xunit;

namespace Fleet.IntegrationTests;

public sealed class IsolationTests(FleetFixture fleet)
{
    [Fact]
    public async Task Nothing_of_one_user_can_be_seen_or_touched_by_another()
    {
        using var owner = await FleetUser.RegisterAsync(fleet);
        using var stranger = await FleetUser.RegisterAsync(fleet);
        var collection = (await owner.PostAsync("/api/collections", new { name = "Private" })).GetProperty("id").GetGuid();
        var document = await owner.IngestAsync(collection, Path.Combine(AppContext.BaseDirectory, "Documents", "사내-휴가-규정.md"));
        var session = await owner.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel, useKnowledge = true });
        var reply = await owner.AskAsync(session, "병가는 며칠인가요?");
        var message = (await owner.MessagesAsync(session))[1].GetProperty("id").GetGuid();
        var notification = await Eventually.ResultAsync(async () =>
            (await owner.GetAsync("/api/notifications")).GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetString()).FirstOrDefault());

        var attempts = new (HttpMethod Method, string Path, object? Body)[]
        {
            (HttpMethod.Get, $"/api/sessions/{session}", null),
            (HttpMethod.Patch, $"/api/sessions/{session}", new { title = "mine now" }),
            (HttpMethod.Delete, $"/api/sessions/{session}", null),
            (HttpMethod.Get, $"/api/sessions/{session}/messages", null),
            (HttpMethod.Post, $"/api/sessions/{session}/messages", new { content = "let me in" }),
            (HttpMethod.Get, $"/api/runs/{reply.RunId}/events", null),
            (HttpMethod.Post, $"/api/runs/{reply.RunId}/cancel", null),
            (HttpMethod.Post, $"/api/messages/{message}/feedback", new { rating = "up" }),
            (HttpMethod.Get, $"/api/collections/{collection}", null),
            (HttpMethod.Delete, $"/api/collections/{collection}", null),
            (HttpMethod.Get, $"/api/collections/{collection}/documents", null),
            (HttpMethod.Get, $"/api/documents/{document}", null),
            (HttpMethod.Get, $"/api/documents/{document}/content", null),
            (HttpMethod.Get, $"/api/documents/{document}/chunks", null),
            (HttpMethod.Get, $"/api/documents/{document}/events", null),
            (HttpMethod.Post, $"/api/documents/{document}/reindex", null),
            (HttpMethod.Delete, $"/api/documents/{document}", null),
            (HttpMethod.Patch, $"/api/notifications/{notification}", new { read = true }),
        };
        foreach (var (method, path, body) in attempts)
            Assert.True(await stranger.StatusAsync(method, path, body) == HttpStatusCode.NotFound, $"{method} {path} is not 404 for a stranger");

        Assert.Empty((await stranger.PostAsync("/api/v1/search/semantic", new { query = "병가", top_k = 10 })).GetProperty("results").EnumerateArray());
        Assert.Empty((await stranger.GetAsync("/api/sessions")).GetProperty("items").EnumerateArray());
        var strangersSession = await stranger.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel, useKnowledge = true });
        Assert.DoesNotContain("30일", (await stranger.AskAsync(strangersSession, "병가는 며칠인가요?")).Text, StringComparison.Ordinal);

        Assert.Equal(reply.Text, (await owner.MessagesAsync(session))[1].GetProperty("content").GetString());
        Assert.Equal("indexed", (await owner.GetAsync($"/api/documents/{document}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Administration_is_for_administrators()
    {
        using var user = await FleetUser.RegisterAsync(fleet);

        Assert.Equal(HttpStatusCode.Forbidden, await user.StatusAsync(HttpMethod.Get, "/api/admin/models"));
        Assert.Equal(HttpStatusCode.Forbidden, await user.StatusAsync(HttpMethod.Get, "/api/analytics/usage"));

        using var administrator = await fleet.CreateAdministratorAsync();
        using var models = await administrator.GetAsync("/api/admin/models", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, models.StatusCode);
        Assert.Contains(FleetFixture.NativeModel, await models.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_health_details_and_grpc_are_not_routed_from_outside()
    {
        using var client = fleet.CreateClient();
        foreach (var path in new[] { "/metrics", "/fleet.inference.v1.Inference/GetStatus", "/fleet.auth.v1.Auth/ExchangeApiKey" })
        {
            using var response = await client.GetAsync(path, TestContext.Current.CancellationToken);
            var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.DoesNotContain("# TYPE", body, StringComparison.Ordinal);
            Assert.False(response.Content.Headers.ContentType?.MediaType == "application/grpc", path);
        }
    }
}
