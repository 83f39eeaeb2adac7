using System.Text;
using Xunit;

namespace Fleet.EndToEnd.Tests;

/// <summary>What people and documents say is shown, never run: no dialog, no request. The base class looks at the console.</summary>
public sealed class HostileTextTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    private const string Hostile = "<img src=x onerror=alert(1)><script>alert(2)</script><a href=\"javascript:alert(3)\">here</a>";

    [Fact]
    public async Task A_message_with_markup_is_text()
    {
        var (_, page) = await SignInAsync();

        await page.AskAsync(Hostile);

        await Expect(page.Questions).ToHaveTextAsync(Hostile);
        await Expect(page.Page.GetByTestId("conversation-title")).ToContainTextAsync("<img src=x");
        await page.Page.ReloadAsync();
        await Expect(page.Questions).ToHaveTextAsync(Hostile);
        await AssertNothingRanAsync(page);
    }

    [Fact]
    public async Task A_document_with_markup_and_remote_pictures_is_quoted_as_text()
    {
        var (_, page) = await SignInAsync();
        var document = $"Zebra colours are {Hostile} and ![stripes](https://tracker.example/pixel.png) and [bad](javascript:alert(4)) in all herds.\n";
        await page.UploadAsync("Documents", "Close", new FilePayload { Name = "zebra.txt", MimeType = "text/plain", Buffer = Encoding.UTF8.GetBytes(document) });
        await page.Page.GetByRole(AriaRole.Switch, new() { Name = "Use my documents" }).CheckAsync();

        var answer = await page.AskAsync("Which colours do zebra herds have?");

        await Expect(answer).ToContainTextAsync("Zebra colours");
        await answer.GetByTestId("citation").First.ClickAsync();
        await Expect(page.Page.GetByTestId("passage")).ToContainTextAsync("<script>alert(2)</script>");
        await AssertNothingRanAsync(page);
    }

    private static async Task AssertNothingRanAsync(FleetPage page)
    {
        await Expect(page.Page.Locator("main img, main script, [role=dialog] img, [role=dialog] script, a[href^='javascript']")).ToHaveCountAsync(0);
        Assert.DoesNotContain(page.Requests, request => request.EndsWith("/x", StringComparison.Ordinal) || request.Contains("tracker", StringComparison.Ordinal));
    }
}
