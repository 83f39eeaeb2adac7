using Xunit;

namespace Fleet.EndToEnd.Tests;

/// <summary>The whole fleet and one Chromium. Without a Chromium nothing starts, and the tests say so.</summary>
public sealed class BrowserFleet : IAsyncLifetime
{
    /// <summary>Two cores may be busy with the model, the fleet and the browser at once.</summary>
    private const float ExpectTimeout = 20_000;

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public FleetFixture Fleet { get; } = new();

    public bool HasBrowser => _browser is not null;

    public IBrowser Browser => _browser ?? throw new InvalidOperationException(Chromium.WhyNot);

    public async ValueTask InitializeAsync()
    {
        if (Chromium.Find() is not { } program) return;
        SetDefaultExpectTimeout(ExpectTimeout);
        await Fleet.InitializeAsync();
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = program, Headless = true, Args = Chromium.Arguments });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
        if (HasBrowser) await Fleet.DisposeAsync();
    }
}
