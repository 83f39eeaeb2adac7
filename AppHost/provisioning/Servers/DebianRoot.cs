using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// A private Debian root with the three servers, made once per user by debootstrap from the mirror that the host uses. Its name holds a
/// hash of what went into it: another recipe is another folder, and clones of different age do not disturb each other. It is never
/// written to after it is complete.
/// </summary>
internal sealed partial class DebianRoot(string cacheDirectory)
{
    private const string Suite = "trixie";
    private const string Packages = "postgresql-17-pgvector,rabbitmq-server,valkey-server";

    // Counted up when the steps below change in a way that the two names above do not show.
    private const string Recipe = "1";
    private static readonly LocalBinaries Layout = new(
        "", "/usr/lib/postgresql/17/bin", 17, "/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/bin/valkey-server", "valkey");

    public string Directory { get; } = Path.Combine(cacheDirectory, $"debian-{Suite}-{Version()}");

    public bool Exists => System.IO.Directory.Exists(Directory);

    public LocalBinaries Binaries => Layout with { Root = Directory };

    /// <summary>Null when such a root can be made here, else why it cannot.</summary>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux() || Tool.Find("apt-get") is null)
            return "this is not a Debian-like Linux";
        if (!UnixProcess.IsRoot)
            return "you are not root";
        var namespaces = await Tool.TryRunAsync("unshare", ["--mount", "true"], TimeSpan.FromSeconds(5), cancellationToken);
        return namespaces is { Succeeded: true } ? null : "this container may not make mount namespaces";
    }

    public async Task EnsureAsync(IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (Exists)
            return;
        using var held = await FileLock.AcquireAsync(
            Path.Combine(cacheDirectory, "debian-root.lock"),
            () => progress.Report("Another run is making the Debian root; waiting for it"),
            cancellationToken);
        if (Exists)
            return;

        await EnsureDebootstrapAsync(progress, cancellationToken);
        var unfinished = Directory + ".partial";
        if (System.IO.Directory.Exists(unfinished))
            await RunAsync("rm", ["-rf", "--one-file-system", unfinished], cancellationToken);

        progress.Report("Making a private Debian root with PostgreSQL, pgvector, RabbitMQ and Valkey (once per machine, 1 to 3 minutes, 1 GB)");
        List<string> arguments = ["--variant=minbase", $"--include={Packages}", Suite, unfinished];
        if (FindMirror() is { } mirror)
            arguments.Add(mirror);
        await RunAsync("debootstrap", arguments, cancellationToken, line => ReportStep(progress, line));
        Finish(unfinished);
        foreach (var program in (string[])[$"{Layout.PostgreSqlBin}/postgres", Layout.RabbitMqServer, Layout.RedisServer])
        {
            if (!File.Exists(unfinished + program))
                throw new ProvisioningException($"The Debian root was made but lacks {program}. Please report this.");
        }

        System.IO.Directory.Move(unfinished, Directory);
        progress.Report($"The Debian root is ready in {Directory}");
    }

    /// <summary>The first mirror that the host's own package manager uses; debootstrap knows a default.</summary>
    private static string? FindMirror() => UnixProcess.ReadOrEmpty("/etc/os-release").Contains("\nID=debian", StringComparison.Ordinal)
        ? FindMirror(SourceFiles().Select(UnixProcess.ReadOrEmpty))
        : null;

    internal static string? FindMirror(IEnumerable<string> sourceFiles) => sourceFiles
        .SelectMany(text => text.Split('\n'))
        .Where(line => !line.TrimStart().StartsWith('#'))
        .Select(line => MirrorPattern().Match(line))
        .FirstOrDefault(match => match.Success)?.Groups["mirror"].Value.TrimEnd('/');

    private static IEnumerable<string> SourceFiles() =>
        System.IO.Directory.Exists("/etc/apt/sources.list.d")
            ? ["/etc/apt/sources.list", .. System.IO.Directory.GetFiles("/etc/apt/sources.list.d").Order(StringComparer.Ordinal)]
            : ["/etc/apt/sources.list"];

    private static async Task EnsureDebootstrapAsync(IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (Tool.Find("debootstrap", "/usr/sbin") is not null)
            return;
        progress.Report("Installing debootstrap");
        var quiet = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive" };
        string[] install = ["install", "--yes", "--no-install-recommends", "debootstrap"];
        if ((await Tool.RunAsync("apt-get", install, cancellationToken, environment: quiet)).Succeeded)
            return;
        await RunAsync("apt-get", ["update"], cancellationToken);
        await RunAsync("apt-get", install, cancellationToken);
    }

    private static void Finish(string root)
    {
        // Erlang asks for localhost by name, and nothing may start a service from a package script.
        File.WriteAllText($"{root}/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        var policy = $"{root}/usr/sbin/policy-rc.d";
        File.WriteAllText(policy, "#!/bin/sh\nexit 101\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(policy, (UnixFileMode)Convert.ToInt32("755", 8));
        // Half of the space: packages and lists are not needed again.
        foreach (var directory in (string[])["var/cache/apt", "var/lib/apt/lists", "var/lib/postgresql/17/main"])
        {
            if (System.IO.Directory.Exists($"{root}/{directory}"))
                System.IO.Directory.Delete($"{root}/{directory}", recursive: true);
        }
    }

    private static void ReportStep(IProgress<string> progress, string line)
    {
        if (line.StartsWith("I: Configuring ", StringComparison.Ordinal) || line.StartsWith("I: Retrieving ", StringComparison.Ordinal))
            progress.Report(line[3..]);
    }

    private static async Task RunAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellationToken, Action<string>? onLine = null)
    {
        var path = new Dictionary<string, string>
        {
            ["PATH"] = $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin",
            ["DEBIAN_FRONTEND"] = "noninteractive",
        };
        var result = await Tool.RunAsync(Tool.Find(program, "/usr/sbin", "/sbin") ?? program, arguments, cancellationToken, environment: path, onLine: onLine);
        if (!result.Succeeded)
            throw new ProvisioningException($"{program} failed with exit code {result.ExitCode}:\n{result.Tail()}");
    }

    private static string Version() =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Recipe}|{Suite}|{Packages}")))[..12];

    // deb822's "URIs: <mirror>" and the one-line "deb [options] <mirror> suite ..."; security mirrors lay their folders out differently.
    [GeneratedRegex(@"^\s*(URIs:|deb(\s+\[[^\]]*\])?)\s+(?<mirror>https?://(?!\S*security)\S+)")]
    private static partial Regex MirrorPattern();
}
