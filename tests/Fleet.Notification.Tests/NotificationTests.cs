using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Fleet.Contracts.Events;
using Fleet.Notification.Notifications;

namespace Fleet.Notification.Tests;

public sealed class NotificationTests(NotificationFixture fleet)
{
    private readonly Guid _user = Guid.CreateVersion7();

    [Fact]
    public async Task A_finished_reply_is_a_quiet_notification()
    {
        var reply = Events.Completed(_user);
        await fleet.DeliverAsync(reply);

        var page = await fleet.ListAsync(_user);

        var notification = Assert.Single(page.Items);
        Assert.Equal("reply.completed", notification.Kind);
        Assert.Equal(reply.SessionId.ToString(), notification.Parameters["sessionId"]);
        Assert.True(notification.Quiet);
        Assert.False(notification.Read);
        Assert.Equal(0, page.UnreadCount);
    }

    [Fact]
    public async Task A_reply_outside_any_conversation_notifies_nobody()
    {
        await fleet.DeliverAsync(Events.Completed(_user) with { SessionId = null });

        Assert.Empty((await fleet.ListAsync(_user)).Items);
    }

    [Fact]
    public async Task The_same_event_delivered_twice_is_one_notification()
    {
        var indexed = Events.Indexed(_user);

        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fleet.PublishAsync(indexed)));
        await fleet.DeliverAsync(indexed, Events.Indexed(_user));

        Assert.Equal(2, (await fleet.ListAsync(_user)).Items.Count);
    }

    [Fact]
    public async Task Every_kind_has_text_in_both_languages()
    {
        await fleet.DeliverAsync(
            new UserRegistered { UserId = _user, UserName = "지민" },
            Events.Indexed(_user),
            Events.Failed(_user, "The file is {name} empty."),
            new ReplyFailed
            {
                UserId = _user,
                SessionId = Guid.NewGuid(),
                RunId = Guid.NewGuid(),
                Model = "small",
                ErrorType = "timeout",
                Duration = TimeSpan.Zero,
            });

        var korean = await ListInAsync("ko-KR,ko;q=0.9,en;q=0.5");
        var english = await ListInAsync("fr, en;q=0.8, ko;q=0.2");

        Assert.Equal(4, korean.Count);
        Assert.Contains(korean, notification => notification.Body.StartsWith("지민 님", StringComparison.Ordinal));
        Assert.Contains(english, notification => notification.Body.StartsWith("Hello 지민", StringComparison.Ordinal));
        Assert.Contains(english, notification => notification.Body == "“보고서.md” can now be searched (12 passages).");
        // A value is never taken for a template.
        Assert.Contains(english, notification => notification.Body == "“a.txt” could not be indexed: The file is {name} empty.");
        Assert.DoesNotContain(korean.Concat(english), notification => notification.Body.Contains('?', StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reading_lowers_the_unread_count_and_can_be_taken_back()
    {
        await fleet.DeliverAsync(Events.Indexed(_user), Events.Indexed(_user));
        var id = (await fleet.ListAsync(_user)).Items[0].Id;
        using var client = fleet.ClientFor(_user);

        using var read = await client.PatchAsJsonAsync($"/api/notifications/{id}", new { read = true });

        Assert.Equal(HttpStatusCode.OK, read.StatusCode);
        Assert.True((await read.Content.ReadFromJsonAsync<NotificationView>())!.Read);
        Assert.Equal(1, (await fleet.ListAsync(_user)).UnreadCount);
        Assert.DoesNotContain((await fleet.ListAsync(_user, "?unread=true")).Items, notification => notification.Id == id);
        Assert.Equal(id, Assert.Single((await fleet.ListAsync(_user, "?unread=false")).Items).Id);

        using var unread = await client.PatchAsJsonAsync($"/api/notifications/{id}", new { read = false });

        Assert.Equal(2, (await client.GetFromJsonAsync<UnreadCount>("/api/notifications/unread"))!.Count);
    }

    [Fact]
    public async Task Read_all_marks_only_ones_own()
    {
        var other = Guid.CreateVersion7();
        await fleet.DeliverAsync(Events.Indexed(_user), Events.Indexed(_user), Events.Indexed(other));
        using var client = fleet.ClientFor(_user);

        using var response = await client.PostAsync("/api/notifications/read-all", null);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal(0, (await fleet.ListAsync(_user)).UnreadCount);
        Assert.Equal(1, (await fleet.ListAsync(other)).UnreadCount);
    }

    [Fact]
    public async Task Pages_follow_each_other_without_gaps_or_repeats()
    {
        await fleet.DeliverAsync([.. Enumerable.Range(0, 7).Select(i => Events.Indexed(_user, $"{i}.md"))]);

        var names = new List<string>();
        string? cursor = null;
        do
        {
            var page = await fleet.ListAsync(_user, "?limit=3" + (cursor is null ? "" : "&cursor=" + cursor));
            names.AddRange(page.Items.Select(notification => notification.Parameters["name"]));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        Assert.Equal(["6.md", "5.md", "4.md", "3.md", "2.md", "1.md", "0.md"], names);
    }

    [Fact]
    public async Task A_failed_model_concerns_all_administrators_and_each_reads_for_themselves()
    {
        var (first, second) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        var failed = new ModelFailed { Model = "big", Reason = "out of memory" };
        await fleet.DeliverAsync(failed, new AlertRaised { Rule = "errors", Summary = "2 % of replies fail" });
        var id = (await fleet.ListAsync(first, "", "administrator")).Items.First(notification => notification.Kind == "model.failed").Id;
        using var client = fleet.ClientFor(first, "administrator");

        using var response = await client.PatchAsJsonAsync($"/api/notifications/{id}", new { read = true });

        Assert.True((await response.Content.ReadFromJsonAsync<NotificationView>())!.Read);
        Assert.False((await fleet.ListAsync(second, "", "administrator")).Items.Single(notification => notification.Id == id).Read);
        Assert.Empty((await fleet.ListAsync(_user)).Items);
    }

    [Fact]
    public async Task Another_persons_notification_is_404()
    {
        await fleet.DeliverAsync(Events.Indexed(_user));
        var id = (await fleet.ListAsync(_user)).Items[0].Id;
        using var stranger = fleet.ClientFor(Guid.CreateVersion7(), "administrator");

        using var foreign = await stranger.PatchAsJsonAsync($"/api/notifications/{id}", new { read = true });
        using var unknown = await stranger.PatchAsJsonAsync($"/api/notifications/{Guid.CreateVersion7()}", new { read = true });

        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(1, (await fleet.ListAsync(_user)).UnreadCount);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("{\"read\":null}")]
    [InlineData("{\"read\":\"yes\"}")]
    [InlineData("[true]")]
    public async Task A_bad_body_is_400_with_problem_details(string body)
    {
        using var client = fleet.ClientFor(_user);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");

        using var response = await client.PatchAsync($"/api/notifications/{Guid.CreateVersion7()}", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.StartsWith("urn:fleet:problem:", (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=201")]
    [InlineData("?limit=x")]
    [InlineData("?cursor=x")]
    [InlineData("?unread=maybe")]
    public async Task A_bad_query_is_400(string query)
    {
        using var client = fleet.ClientFor(_user);

        using var response = await client.GetAsync("/api/notifications" + query);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("GET", "/api/notifications")]
    [InlineData("GET", "/api/notifications/unread")]
    [InlineData("GET", "/api/notifications/stream")]
    [InlineData("PATCH", "/api/notifications/01a1f929-a67e-7444-9400-0dacfa023675")]
    [InlineData("POST", "/api/notifications/read-all")]
    public async Task Without_a_valid_token_every_route_is_401_and_with_a_services_token_403(string method, string route)
    {
        string?[] tokens = [null, "nonsense", fleet.Tokens.Expired(_user), fleet.Tokens.Foreign(_user), fleet.Tokens.WrongAudience(_user)];
        foreach (var token in tokens)
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(token));

        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(fleet.Tokens.IssueService("chat")));

        async Task<HttpStatusCode> StatusAsync(string? token)
        {
            using var client = fleet.Service.CreateClient(token);
            using var request = new HttpRequestMessage(new HttpMethod(method), route);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task Erasure_deletes_everything_of_the_user()
    {
        await fleet.DeliverAsync(Events.Indexed(_user));
        await fleet.DeliverAsync(new UserErased { UserId = _user });

        Assert.Empty((await fleet.ListAsync(_user)).Items);
    }

    private async Task<IReadOnlyList<NotificationView>> ListInAsync(string languages)
    {
        using var client = fleet.ClientFor(_user);
        client.DefaultRequestHeaders.Add("Accept-Language", languages);
        return (await client.GetFromJsonAsync<NotificationPage>("/api/notifications"))!.Items;
    }
}
