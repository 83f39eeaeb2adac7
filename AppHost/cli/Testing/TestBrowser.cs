using Fleet.Provisioning.Processes;
using Spectre.Console;

namespace Fleet.Cli.Testing;

/// <summary>
/// The Chromium of the end-to-end tests: the one this machine has, else Debian's, installed with a Korean font. Where neither is
/// possible those tests are skipped, which the summary tells.
/// </summary>
internal static class TestBrowser
{
    /// <summary>The project that drives it.</summary>
    public const string Project = "Fleet.EndToEnd.Tests";

    /// <summary>Tells the tests that there is a browser, so that not finding it is a failure.</summary>
    public const string RequiredVariable = "FLEET_REQUIRE_BROWSER";

    private const string Font = "fonts-noto-cjk";

    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

    /// <summary>Null when there is a browser now, else why not.</summary>
    public static async Task<string?> EnsureAsync(IAnsiConsole console, CancellationToken cancellationToken)
    {
        var found = IsInstalled();
        var installable = OperatingSystem.IsLinux() && UnixProcess.IsRoot && Tool.Find("apt-get") is not null;
        // Without the font Korean shows as boxes: the tests hold, their screenshots say nothing.
        if (!installable || (found && Directory.Exists("/usr/share/fonts/opentype/noto")))
            return found ? null : "there is no Chromium, and it can be installed only as root on a Debian-like Linux";

        console.WriteStep($"Installing Chromium and {Font} for the end-to-end tests (once per machine, about a minute)");
        var result = await InstallAsync(found ? [Font] : ["chromium", Font], cancellationToken);
        return IsInstalled() ? null : $"Chromium could not be installed:\n{result.Tail()}";
    }

    private static bool IsInstalled() => Names.Any(name => Tool.Find(name, "/usr/bin") is not null);

    private static async Task<ToolResult> InstallAsync(string[] packages, CancellationToken cancellationToken)
    {
        var quiet = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive" };
        string[] install = ["install", "--yes", "--no-install-recommends", .. packages];
        var result = await Tool.RunAsync("apt-get", install, cancellationToken, environment: quiet);
        if (result.Succeeded)
            return result;
        // A fresh container has no package lists yet, or old ones.
        await Tool.RunAsync("apt-get", ["update"], cancellationToken, environment: quiet);
        return await Tool.RunAsync("apt-get", install, cancellationToken, environment: quiet);
    }
}
