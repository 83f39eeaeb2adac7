using Xunit;

namespace Fleet.EndToEnd.Tests;

/// <summary>Long replies of a real llama.cpp model, looked at while they grow.</summary>
public sealed class ReplyTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    [Fact]
    public async Task Stop_ends_a_long_reply_and_its_text_stays()
    {
        var (_, page) = await SignInAsync();
        await page.ChooseModelAsync(FleetFixture.NativeModel);
        await page.SendAsync("Talk for a long time.");
        var beginning = await page.BeginningAsync(60);

        await page.Stop.ClickAsync();

        await Expect(page.Answers).ToHaveCountAsync(1);
        await Expect(page.Page.GetByTestId("message-facts")).ToContainTextAsync("Stopped");
        await Expect(page.Page.GetByTestId("send")).ToBeVisibleAsync();
        Assert.StartsWith(Start(beginning), Letters(await TextAsync(page)), StringComparison.Ordinal);
        var stopped = await TextAsync(page);
        await page.Page.ReloadAsync();
        await Expect(page.Page.GetByTestId("message-facts")).ToContainTextAsync("Stopped");
        Assert.Equal(stopped, await TextAsync(page));
    }

    [Fact]
    public async Task Reloading_in_the_middle_of_a_reply_shows_the_whole_reply_once()
    {
        var (page, user) = await BeginLongReplyAsync("Talk, and do not mind me.");
        var beginning = await page.BeginningAsync(60);

        await page.Page.ReloadAsync();
        var resumed = await page.BeginningAsync(beginning.Length);

        Assert.StartsWith(Start(beginning), Letters(resumed), StringComparison.Ordinal);
        await Expect(page.Questions).ToHaveCountAsync(1);
        await Expect(page.Streaming).ToHaveCountAsync(1);
        await Expect(page.Answers).ToHaveCountAsync(0);
        await Expect(page.Answers).ToHaveCountAsync(1, new() { Timeout = 60_000 });
        await Expect(page.Page.GetByTestId("message-facts")).ToContainTextAsync($"{FleetFixture.LongReply} out");
        await Expect(page.Questions).ToHaveCountAsync(1);
        await Expect(page.Streaming).ToHaveCountAsync(0);
        var whole = await TextAsync(page);
        await page.Page.ReloadAsync();
        await Expect(page.Answers).ToHaveCountAsync(1);
        Assert.Equal(whole, await TextAsync(page));
        Assert.StartsWith(Start(beginning), Letters(whole), StringComparison.Ordinal);
        Assert.Single((await user.GetAsync("/api/sessions")).GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task A_reply_grows_while_the_person_looks_at_another_conversation()
    {
        var (page, _) = await BeginLongReplyAsync("Talk while I look elsewhere.");
        var beginning = await page.BeginningAsync(60);

        await page.Page.GetByTestId("new-conversation").ClickAsync();
        await Expect(page.Streaming).ToHaveCountAsync(0);
        await page.Composer.FillAsync("a draft");
        await page.Sessions.GetByRole(AriaRole.Button).First.ClickAsync();

        var later = await page.BeginningAsync(beginning.Length + 1);
        Assert.StartsWith(Start(beginning), Letters(later), StringComparison.Ordinal);
        await page.Stop.ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(1);
    }

    /// <summary>The page does not limit a reply, so the session is made by the API and opened by its address.</summary>
    private async Task<(FleetPage Page, FleetUser User)> BeginLongReplyAsync(string question)
    {
        var (user, page) = await SignInAsync();
        var session = await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = FleetFixture.LongReply, temperature = 0 });
        await page.OpenSessionAsync(session);
        await page.SendAsync(question);
        return (page, user);
    }

    /// <summary>
    /// The model babbles, and what it says is Markdown: a sign may turn into formatting once its counterpart has come, so only letters
    /// are compared, without those of the end.
    /// </summary>
    private static string Start(string text) => Letters(text)[..(Letters(text).Length / 2)];

    private static string Letters(string text) => string.Concat(text.Where(char.IsAsciiLetter));

    private static async Task<string> TextAsync(FleetPage page) => await page.Answers.InnerTextAsync();
}
