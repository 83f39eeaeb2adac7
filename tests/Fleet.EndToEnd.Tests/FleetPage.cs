using System.Collections.Concurrent;

namespace Fleet.EndToEnd.Tests;

/// <summary>The web app as a person uses it, and what its browser complained about.</summary>
public sealed class FleetPage : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly Uri _address;
    private readonly ConcurrentQueue<string> _console = new();
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly ConcurrentQueue<string> _requests = new();
    private readonly List<string> _expected = [];

    private FleetPage(IBrowserContext context, IPage page, Uri address)
    {
        _context = context;
        _address = address;
        Page = page;
        page.Console += (_, message) => Hear(message.Type, message.Text);
        page.PageError += (_, error) => Hear("error", error);
        page.Request += (_, request) => Watch(request);
        page.Dialog += (_, dialog) =>
        {
            Hear("error", $"A dialog opened: {dialog.Message}");
            _ = dialog.DismissAsync();
        };
    }

    public IPage Page { get; }

    /// <summary>Errors in the console, exceptions, policy violations, dialogs and requests to other servers, unless a test expects them.</summary>
    public IEnumerable<string> Problems => _problems.Where(problem => !_expected.Exists(expected => problem.Contains(expected, StringComparison.Ordinal)));

    public IReadOnlyCollection<string> Requests => _requests;

    public ILocator Composer => Page.GetByTestId("composer");

    public ILocator Questions => Page.GetByTestId("message-user");

    public ILocator Answers => Page.GetByTestId("message-assistant");

    public ILocator Streaming => Page.GetByTestId("message-streaming");

    public ILocator Stop => Page.GetByTestId("stop");

    public ILocator Sessions => Page.GetByTestId("session");

    public static async Task<FleetPage> OpenAsync(IBrowser browser, Uri address, BrowserNewContextOptions options)
    {
        var context = await browser.NewContextAsync(options);
        // The console does not always name what the policy refused; the event does.
        await context.AddInitScriptAsync(
            "addEventListener('securitypolicyviolation', e => console.error(`Policy violation: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))");
        var page = new FleetPage(context, await context.NewPageAsync(), address);
        await page.Page.GotoAsync(address.ToString());
        return page;
    }

    /// <summary>Such a complaint belongs to the test; Chromium reports every refused request as an error.</summary>
    public void Expect(string complaint) => _expected.Add(complaint);

    public async Task SignInAsync(string name, string password)
    {
        await Page.Locator("input[autocomplete=username]").FillAsync(name);
        await Page.Locator("input[type=password]").FillAsync(password);
        await Page.Locator("button[type=submit]").ClickAsync();
        await Expect(Composer).ToBeVisibleAsync();
    }

    /// <summary>For the open conversation, or for the next ones that are begun on this page.</summary>
    public async Task ChooseModelAsync(string model)
    {
        await Page.Locator("select").SelectOptionAsync(model);
        await Expect(Page.Locator("select")).ToHaveValueAsync(model);
    }

    public async Task SendAsync(string text)
    {
        await Composer.FillAsync(text);
        await Composer.PressAsync("Enter");
    }

    /// <summary>Asks, and waits until the stored answer stands on the page.</summary>
    public async Task<ILocator> AskAsync(string question)
    {
        var before = await Answers.CountAsync();
        await SendAsync(question);
        await Expect(Answers).ToHaveCountAsync(before + 1);
        await Expect(Page.GetByTestId("send")).ToBeVisibleAsync();
        return Answers.Last;
    }

    public Task OpenSessionAsync(Guid session) => Page.GotoAsync(new Uri(_address, $"/c/{session}").ToString());

    /// <summary>Uploads through the documents dialog and waits until the document can be found.</summary>
    public async Task UploadAsync(string documents, string close, params FilePayload[] files)
    {
        await Page.GetByRole(AriaRole.Button, new() { Name = documents, Exact = true }).ClickAsync();
        await Page.GetByTestId("upload").SetInputFilesAsync(files);
        await Expect(Page.Locator("[data-testid=document][data-status=indexed]")).ToHaveCountAsync(files.Length);
        await Page.GetByRole(AriaRole.Button, new() { Name = close, Exact = true }).ClickAsync();
        await Expect(Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
    }

    /// <summary>Waits for the reply to be under way, with some of its text on the page.</summary>
    public async Task<string> BeginningAsync(int characters)
    {
        await Page.WaitForFunctionAsync(
            "length => (document.querySelector('[data-testid=message-streaming]')?.innerText.length ?? 0) >= length", characters);
        return await Streaming.InnerTextAsync();
    }

    public async Task SaveAsync(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllLinesAsync(path + ".log", [Page.Url, .. _console, "", .. _problems.Select(problem => "PROBLEM " + problem)]);
        await Page.ScreenshotAsync(new PageScreenshotOptions { Path = path + ".png" });
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    private void Hear(string type, string text)
    {
        _console.Enqueue($"{type}: {text}");
        if (type is "error" or "assert") _problems.Enqueue(text);
    }

    private void Watch(IRequest request)
    {
        _requests.Enqueue($"{request.Method} {request.Url}");
        _console.Enqueue($"request: {request.Method} {request.Url}");
        var target = new Uri(request.Url);
        if (target.Scheme.StartsWith("http", StringComparison.Ordinal) && target.Authority != _address.Authority) _problems.Enqueue($"A request to another server: {request.Url}");
    }

    private static ILocatorAssertions Expect(ILocator locator) => Assertions.Expect(locator);
}
