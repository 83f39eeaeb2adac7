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
    public async Task A_short_password_and_a_taken_name_are_refused_with_the_reason()
    {
        var taken = (await Fleet.SharedUserAsync()).Name;
        var page = await OpenAsync();
        page.Expect("409");
        await page.Page.GetByText("No account yet?").ClickAsync();
        await page.Page.GetByLabel("User name").FillAsync(taken);
        await page.Page.GetByLabel("E-mail").FillAsync("short@example.test");
        await page.Page.GetByLabel("Password").FillAsync("abc");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Create account", Exact = true }).ClickAsync();

        await Expect(page.Page.GetByText("At least 10 characters")).ToBeVisibleAsync();
        await Expect(page.Page.Locator("input[type=password]:invalid")).ToHaveCountAsync(1);
        Assert.DoesNotContain(page.Requests, request => request.EndsWith("/api/auth/register", StringComparison.Ordinal));

        await page.Page.GetByLabel("Password").FillAsync(FleetUser.Password);
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Create account", Exact = true }).ClickAsync();

        await Expect(page.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("user name");
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
