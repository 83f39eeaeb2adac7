using Xunit;

namespace Fleet.EndToEnd.Tests;

public sealed class PhoneTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    [Fact]
    public async Task On_a_phone_the_conversations_are_a_drawer_and_nothing_is_wider_than_the_screen()
    {
        var (_, page) = await SignInAsync("ko-KR", phone: true, dark: true);
        await AssertFitsAsync(page);
        await Expect(page.Page.GetByTestId("new-conversation")).ToBeHiddenAsync();
        await page.AskAsync("아주긴단어가화면보다넓어지지않는지봅니다" + new string('가', 120));
        await AssertFitsAsync(page);

        await page.Page.GetByRole(AriaRole.Button, new() { Name = "대화 목록 보기" }).TapAsync();
        await Expect(page.Page.GetByTestId("new-conversation")).ToBeVisibleAsync();
        await Expect(page.Sessions).ToHaveCountAsync(1);
        await page.Page.GetByTestId("new-conversation").TapAsync();

        await Expect(page.Page.GetByTestId("new-conversation")).ToBeHiddenAsync();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "대화 목록 보기" }).TapAsync();
        await page.Sessions.GetByRole(AriaRole.Button).First.TapAsync();
        await Expect(page.Answers).ToHaveCountAsync(1);
        await Expect(page.Page.GetByTestId("new-conversation")).ToBeHiddenAsync();
        await Expect(page.Composer).ToBeInViewportAsync();
    }

    private static async Task AssertFitsAsync(FleetPage page) =>
        Assert.True(await page.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen");
}
