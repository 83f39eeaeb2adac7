namespace Fleet.EndToEnd.Tests;

/// <summary>The browser that this machine has. Playwright's own download is never used: it needs another network, and weighs 150 MB.</summary>
internal static class Chromium
{
    /// <summary>Set by <c>./fleet test</c> once it has found or installed a browser: from then on none is a failure.</summary>
    private const string RequiredVariable = "FLEET_REQUIRE_BROWSER";

    public const string WhyNot = "There is no Chromium on this machine (./fleet test installs it on Debian when run as root).";

    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

    public static readonly string[] Arguments =
        ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

    public static bool IsRequired => Environment.GetEnvironmentVariable(RequiredVariable) == "1";

    public static string? Find()
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Append("/usr/bin")
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
    }
}
