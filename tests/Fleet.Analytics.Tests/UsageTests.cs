using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Analytics.Usage;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Http;

namespace Fleet.Analytics.Tests;

public sealed class UsageTests(AnalyticsFixture fleet)
{
    private static readonly DateTimeOffset Noon = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    private readonly Guid _user = Guid.CreateVersion7();

    [Fact]
    public async Task Replies_are_summed_by_model_and_day()
    {
        var first = Completed(Noon, "small", prompt: 100, cached: 40, completion: 10, duration: 200, firstToken: 50);
        var second = Completed(Noon.AddDays(1), "large", prompt: 200, cached: 0, completion: 30, duration: 400, firstToken: null);
        var third = Failed(Noon.AddDays(1), "large", duration: 600);
        await PublishAndWaitAsync(first, second, third);

        var report = await fleet.ReportAsync(_user, "?from=2026-03-01&to=2026-03-31");

        Assert.Equal(new UsageTotals(3, 1, 305, 40, 42, 400, 50), report.Totals);
        Assert.Equal(["large", "small"], report.ByModel.Select(model => model.Model));
        Assert.Equal(2, report.ByModel[0].Usage.Requests);
        Assert.Equal([new DateOnly(2026, 3, 10), new DateOnly(2026, 3, 11)], report.ByDay.Select(day => day.Day));
        Assert.Null(report.ByDay[1].Usage.AverageTimeToFirstTokenMs);
    }

    [Fact]
    public async Task The_same_event_delivered_twice_counts_once()
    {
        var reply = Completed(Noon, "small", prompt: 10, cached: 0, completion: 5, duration: 1, firstToken: 1);
        var last = Completed(Noon, "small", prompt: 1, cached: 0, completion: 1, duration: 1, firstToken: 1);

        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fleet.PublishAsync(reply)));
        await PublishAndWaitAsync(reply, last);

        Assert.Equal(2, (await fleet.ReportAsync(_user, "?from=2026-03-10&to=2026-03-10")).Totals.Requests);
    }

    [Fact]
    public async Task Two_events_about_one_run_count_once()
    {
        var reply = Completed(Noon, "small", prompt: 10, cached: 0, completion: 5, duration: 1, firstToken: 1);
        await PublishAndWaitAsync(reply);
        await PublishAndWaitAsync(reply with { EventId = Guid.CreateVersion7() });

        Assert.Equal(1, (await fleet.ReportAsync(_user, "?from=2026-03-10&to=2026-03-10")).Totals.Requests);
    }

    [Fact]
    public async Task Days_are_UTC_days_whatever_the_offset_of_the_event()
    {
        // 01:00 in Seoul is the evening before in UTC.
        var seoul = new DateTimeOffset(2026, 3, 11, 1, 0, 0, TimeSpan.FromHours(9));
        await PublishAndWaitAsync(Completed(seoul, "small", prompt: 1, cached: 0, completion: 1, duration: 1, firstToken: 1));

        Assert.Equal(1, (await fleet.ReportAsync(_user, "?from=2026-03-10&to=2026-03-10")).Totals.Requests);
        Assert.Equal(0, (await fleet.ReportAsync(_user, "?from=2026-03-11&to=2026-03-11")).Totals.Requests);
    }

    [Fact]
    public async Task A_later_judgement_replaces_the_earlier_one_in_any_order_of_arrival()
    {
        var message = Guid.CreateVersion7();
        var later = Feedback(message, "down", Noon.AddMinutes(1));
        await PublishAndWaitAsync(later);
        await PublishAndWaitAsync(Feedback(message, "up", Noon));

        var report = await fleet.ReportAsync(_user, "?from=2026-03-10&to=2026-03-10");

        Assert.Equal(new FeedbackCounts(0, 1), report.Feedback);
    }

    [Fact]
    public async Task Indexed_documents_are_counted_once_each()
    {
        var indexed = new DocumentIndexed
        {
            UserId = _user,
            CollectionId = Guid.NewGuid(),
            DocumentId = Guid.NewGuid(),
            Name = "a.md",
            Chunks = 3,
            Duration = TimeSpan.FromSeconds(1),
            OccurredAt = Noon,
        };
        await PublishAndWaitAsync(indexed);
        await PublishAndWaitAsync(indexed with { EventId = Guid.CreateVersion7(), OccurredAt = Noon.AddMinutes(1) });

        Assert.Equal(1, (await fleet.ReportAsync(_user, "?from=2026-03-10&to=2026-03-10")).DocumentsIndexed);
    }

    [Fact]
    public async Task Nobody_sees_another_persons_use()
    {
        await PublishAndWaitAsync(Completed(Noon, "small", prompt: 1, cached: 0, completion: 1, duration: 1, firstToken: 1));

        Assert.Equal(0, (await fleet.ReportAsync(Guid.CreateVersion7(), "?from=2026-03-01&to=2026-03-31")).Totals.Requests);
    }

    [Fact]
    public async Task Erasure_deletes_everything_of_the_user()
    {
        await PublishAndWaitAsync(Completed(Noon, "small", prompt: 1, cached: 0, completion: 1, duration: 1, firstToken: 1));
        await PublishAndWaitAsync(new UserErased { UserId = _user });

        Assert.Equal(0, (await fleet.ReportAsync(_user, "?from=2026-03-01&to=2026-03-31")).Totals.Requests);
        Assert.Equal(0L, await fleet.Database.ScalarAsync($"SELECT count(*) FROM usage_facts WHERE user_id = '{_user}'"));
    }

    [Theory]
    [InlineData("?from=2026-03-02&to=2026-03-01")]
    [InlineData("?from=yesterday")]
    [InlineData("?to=2026-02-30")]
    [InlineData("?from=2020-01-01&to=2026-01-01")]
    [InlineData("?to=0001-01-02")]
    [InlineData("?from=2026-03-01T00:00:00Z")]
    public async Task A_bad_range_is_400_with_problem_details(string query)
    {
        using var client = fleet.ClientFor(_user);

        using var response = await client.GetAsync("/api/analytics/usage/me" + query);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("urn:fleet:problem:invalid-range", problem.GetProperty("type").GetString());
        Assert.NotEmpty(problem.GetProperty("traceId").GetString()!);
    }

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=201")]
    [InlineData("?limit=many")]
    [InlineData("?cursor=nonsense")]
    public async Task A_bad_page_is_400(string query)
    {
        using var client = fleet.ClientFor(_user, "administrator");

        using var response = await client.GetAsync("/api/analytics/usage" + query);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("/api/analytics/usage/me")]
    [InlineData("/api/analytics/usage")]
    public async Task Without_a_valid_token_every_route_is_401(string route)
    {
        string?[] tokens = [null, "nonsense", fleet.Tokens.Expired(_user), fleet.Tokens.Foreign(_user), fleet.Tokens.WrongAudience(_user)];
        foreach (var token in tokens)
        {
            using var client = fleet.Service.CreateClient(token);
            using var response = await client.GetAsync(route);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        }
    }

    [Fact]
    public async Task A_service_token_is_nobodys_and_a_member_is_no_administrator()
    {
        using var service = fleet.Service.CreateClient(fleet.Tokens.IssueService("chat"));
        using var mine = await service.GetAsync("/api/analytics/usage/me");
        using var member = fleet.ClientFor(_user, "member");
        using var everybody = await member.GetAsync("/api/analytics/usage");

        Assert.Equal(HttpStatusCode.Forbidden, mine.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, everybody.StatusCode);
    }

    [Fact]
    public async Task Administrators_page_through_everybody_with_names()
    {
        var day = new DateTimeOffset(2025, 7, 1, 0, 0, 0, TimeSpan.Zero);
        var users = Enumerable.Range(0, 5).Select(_ => Guid.CreateVersion7()).ToList();
        var registered = new UserRegistered { UserId = users[0], UserName = "minji" };
        await fleet.PublishAsync(registered);
        await fleet.HandledAsync(registered);
        foreach (var user in users)
            await PublishAndWaitAsync(Completed(day, "small", prompt: 1, cached: 0, completion: 1, duration: 1, firstToken: 1) with { UserId = user });

        using var client = fleet.ClientFor(Guid.CreateVersion7(), "administrator");
        var seen = new List<UserUsage>();
        string? cursor = null;
        do
        {
            var page = await client.GetFromJsonAsync<CursorPage<UserUsage>>(
                $"/api/analytics/usage?from=2025-07-01&to=2025-07-01&limit=2{(cursor is null ? "" : "&cursor=" + cursor)}");
            Assert.True(page!.Items.Count <= 2);
            seen.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        Assert.Equal(users.Order(), seen.Select(entry => entry.UserId).Order());
        Assert.Equal("minji", seen.Single(entry => entry.UserId == users[0]).UserName);
    }

    private async Task PublishAndWaitAsync(params IntegrationEvent[] events)
    {
        foreach (var e in events)
            await fleet.PublishAsync(e);
        foreach (var e in events)
            await fleet.HandledAsync(e);
    }

    private ReplyCompleted Completed(DateTimeOffset at, string model, int prompt, int cached, int completion, double duration, double? firstToken) => new()
    {
        UserId = _user,
        SessionId = Guid.NewGuid(),
        MessageId = Guid.NewGuid(),
        RunId = Guid.CreateVersion7(),
        Model = model,
        PromptTokens = prompt,
        CachedTokens = cached,
        CompletionTokens = completion,
        FinishReason = "stop",
        Duration = TimeSpan.FromMilliseconds(duration),
        TimeToFirstToken = firstToken is { } ms ? TimeSpan.FromMilliseconds(ms) : null,
        OccurredAt = at,
    };

    private ReplyFailed Failed(DateTimeOffset at, string model, double duration) => new()
    {
        UserId = _user,
        RunId = Guid.CreateVersion7(),
        Model = model,
        ErrorType = "timeout",
        PromptTokens = 5,
        CompletionTokens = 2,
        Duration = TimeSpan.FromMilliseconds(duration),
        OccurredAt = at,
    };

    private FeedbackGiven Feedback(Guid message, string rating, DateTimeOffset at) =>
        new() { UserId = _user, MessageId = message, Model = "small", Rating = rating, OccurredAt = at };
}
