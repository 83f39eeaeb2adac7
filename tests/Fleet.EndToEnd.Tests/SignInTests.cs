using Xunit;

namespace Fleet.EndToEnd.Tests;

public sealed class SignInTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    [Fact]
    public async Task A_wrong_password_is_told_clearly_and_the_right_one_works_after_it()
    {
        var user = await Fleet.SharedUserAsync();
        var page = await OpenAsync();
        page.Expect("401");
        await page.Page.GetByLabel("User name").FillAsync(user.Name);
        await page.Page.GetByLabel("Password").FillAsync("not the password");
        await page.Page.GetByLabel("Password").PressAsync("Enter");

        await Expect(page.Page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("The user name or the password is not right.");

        await page.SignInAsync(user.Name, FleetUser.Password);
        await Expect(page.Page.GetByRole(AriaRole.Alert)).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task A_weak_password_is_refused_with_the_reason()
    {
        var page = await OpenAsync();
        page.Expect("400");
        await page.Page.GetByText("No account yet?").ClickAsync();
        await page.Page.GetByLabel("User name").FillAsync("short" + Guid.NewGuid().ToString("N")[..8]);
        await page.Page.GetByLabel("E-mail").FillAsync("short@example.test");
        await page.Page.GetByLabel("Password").FillAsync("abc");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Create account", Exact = true }).ClickAsync();

        await Expect(page.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("assword");
        await Expect(page.Composer).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task Signing_out_returns_to_the_sign_in_page_and_stays_out()
    {
        var (_, page) = await SignInAsync();
        await page.AskAsync("A private question");

        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();

        await Expect(page.Page.GetByRole(AriaRole.Button, new() { Name = "Sign in", Exact = true })).ToBeVisibleAsync();
        await page.Page.ReloadAsync();
        await Expect(page.Page.GetByRole(AriaRole.Button, new() { Name = "Sign in", Exact = true })).ToBeVisibleAsync();
        await Expect(page.Page.GetByText("A private question")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task The_language_is_switched_and_remembered()
    {
        var (_, page) = await SignInAsync("ko-KR");
        await Expect(page.Page.Locator("html")).ToHaveAttributeAsync("lang", "ko");
        await Expect(page.Page.GetByText("무엇이 궁금하신가요?")).ToBeVisibleAsync();

        await page.Page.GetByRole(AriaRole.Button, new() { Name = "English" }).ClickAsync();

        await Expect(page.Page.GetByText("What would you like to know?")).ToBeVisibleAsync();
        await page.Page.ReloadAsync();
        await Expect(page.Page.GetByText("What would you like to know?")).ToBeVisibleAsync();
        await Expect(page.Page.Locator("html")).ToHaveAttributeAsync("lang", "en");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "한국어" }).ClickAsync();
        await Expect(page.Page.GetByText("무엇이 궁금하신가요?")).ToBeVisibleAsync();
    }
}
