using System.Text.RegularExpressions;
using Xunit;

namespace Fleet.EndToEnd.Tests;

/// <summary>
/// Opens pages for a test. At its end no page may have seen a script error, a policy violation or a request to another server; a test
/// that failed leaves a picture and the console of each of its pages in <c>artifacts/end-to-end</c>; with FLEET_KEEP_SCREENSHOTS=1 every test does.
/// </summary>
public abstract partial class BrowserTest(BrowserFleet fleet) : IAsyncLifetime
{
    private static readonly string Artifacts = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../end-to-end"));

    private readonly List<FleetPage> _pages = [];
    private readonly List<FleetUser> _people = [];

    protected FleetFixture Fleet => fleet.Fleet;

    public ValueTask InitializeAsync()
    {
        if (!fleet.HasBrowser && Chromium.IsRequired) Assert.Fail(Chromium.WhyNot);
        Assert.SkipUnless(fleet.HasBrowser, Chromium.WhyNot);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        var keep = Environment.GetEnvironmentVariable("FLEET_KEEP_SCREENSHOTS") == "1";
        var failed = TestContext.Current.TestState?.Result == TestResult.Failed;
        var problems = _pages.SelectMany(page => page.Problems).ToList();
        for (var number = 0; number < _pages.Count; number++)
        {
            var name = $"{GetType().Name}.{TestContext.Current.TestMethod?.MethodName}-{number + 1}";
            if (keep || failed || problems.Count > 0) await _pages[number].SaveAsync(Path.Combine(Artifacts, NotInFileNames().Replace(name, "_")));
            await _pages[number].DisposeAsync();
        }

        foreach (var person in _people) person.Dispose();
        GC.SuppressFinalize(this);
        // A failed test has said what matters already.
        if (!failed) Assert.Empty(problems);
    }

    /// <summary>A browser profile of its own, on the page where a stranger lands.</summary>
    protected async Task<FleetPage> OpenAsync(string language = "en-US", bool phone = false, bool dark = false)
    {
        var page = await FleetPage.OpenAsync(fleet.Browser, Fleet.GatewayAddress, new BrowserNewContextOptions
        {
            Locale = language,
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
            ViewportSize = phone ? new ViewportSize { Width = 390, Height = 844 } : new ViewportSize { Width = 1280, Height = 800 },
            DeviceScaleFactor = phone ? 2 : 1,
            HasTouch = phone,
            IsMobile = phone,
        });
        _pages.Add(page);
        return page;
    }

    /// <summary>A person of the test's own, signed in on a page of theirs, about to talk to the model whose answers are known.</summary>
    protected async Task<(FleetUser User, FleetPage Page)> SignInAsync(string language = "en-US", bool phone = false, bool dark = false)
    {
        var user = await FleetUser.RegisterAsync(Fleet);
        _people.Add(user);
        var page = await OpenAsync(language, phone, dark);
        await page.SignInAsync(user.Name, FleetUser.Password);
        await page.ChooseModelAsync(FleetFixture.ExtractiveModel);
        return (user, page);
    }

    [GeneratedRegex(@"[^\w.-]")]
    private static partial Regex NotInFileNames();
}
