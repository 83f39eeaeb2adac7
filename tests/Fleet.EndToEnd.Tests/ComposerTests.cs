using Xunit;

namespace Fleet.EndToEnd.Tests;

public sealed class ComposerTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    /// <summary>The key code of a key that an input method has taken.</summary>
    private const int ImeKey = 229;

    [Fact]
    public async Task Enter_that_ends_a_Hangul_syllable_does_not_send()
    {
        var (_, page) = await SignInAsync("ko-KR");
        var devTools = await page.Page.Context.NewCDPSessionAsync(page.Page);
        await page.Composer.FocusAsync();

        // What a Korean keyboard does for "안녕": the second syllable is still open when Enter comes.
        await ComposeAsync("ㅇ");
        await ComposeAsync("안");
        await devTools.SendAsync("Input.insertText", new() { ["text"] = "안" });
        await ComposeAsync("녀");
        await ComposeAsync("녕");
        await devTools.SendAsync("Input.dispatchKeyEvent", new() { ["type"] = "rawKeyDown", ["key"] = "Process", ["code"] = "Enter", ["windowsVirtualKeyCode"] = ImeKey });
        await devTools.SendAsync("Input.insertText", new() { ["text"] = "녕" });
        await page.Composer.DispatchEventAsync("keydown", new { key = "Enter", isComposing = true, bubbles = true, cancelable = true });
        // Safari: the composition has ended already, only the key code tells.
        await page.Composer.DispatchEventAsync("keydown", new { key = "Enter", keyCode = ImeKey, bubbles = true, cancelable = true });

        await Expect(page.Composer).ToHaveValueAsync("안녕");
        await Expect(page.Questions).ToHaveCountAsync(0);
        await page.Composer.PressAsync("Enter");
        await Expect(page.Questions).ToHaveTextAsync("안녕");
        await Expect(page.Answers).ToHaveCountAsync(1);

        Task ComposeAsync(string text) =>
            devTools.SendAsync("Input.imeSetComposition", new() { ["text"] = text, ["selectionStart"] = text.Length, ["selectionEnd"] = text.Length });
    }

    [Fact]
    public async Task Shift_Enter_starts_a_new_line_and_blanks_are_not_sent()
    {
        var (_, page) = await SignInAsync();
        await page.Composer.FillAsync("   ");
        await page.Composer.PressAsync("Enter");
        await Expect(page.Questions).ToHaveCountAsync(0);

        await page.Composer.FillAsync("One");
        await page.Composer.PressAsync("Shift+Enter");
        await page.Composer.PressSequentiallyAsync("Two");
        await page.Composer.PressAsync("Enter");

        await Expect(page.Questions).ToHaveTextAsync("One\nTwo", new() { UseInnerText = true });
        await Expect(page.Composer).ToHaveValueAsync("");
        await Expect(page.Answers).ToHaveCountAsync(1);
    }
}
