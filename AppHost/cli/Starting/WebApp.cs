using System.Security.Cryptography;
using System.Text;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Starting;

/// <summary>The single-page apps in <c>services/web/app</c>, built by npm when their sources changed since the last build.</summary>
internal sealed class WebApp(FleetPaths paths)
{
    private static readonly string[] NotSources = ["node_modules", "dist", "coverage", ".vite"];

    public string Folder { get; } = Path.Combine(paths.Root, "services/web/app");

    public bool Exists => File.Exists(Path.Combine(Folder, "package.json"));

    public bool HasChanged => !Directory.Exists(Path.Combine(Folder, "dist")) || ReadMark(BuiltMark) != HashOf(SourceFiles());

    private string BuiltMark => Path.Combine(paths.State, "web.built");

    private string InstalledMark => Path.Combine(paths.State, "web.installed");

    /// <summary>npm ci, when the lock file changed; it takes most of a minute, so not every time.</summary>
    public async Task InstallAsync(CancellationToken cancellationToken)
    {
        var wanted = HashOf(((string[])["package.json", "package-lock.json"]).Select(name => Path.Combine(Folder, name)).Where(File.Exists));
        if (Directory.Exists(Path.Combine(Folder, "node_modules")) && ReadMark(InstalledMark) == wanted)
            return;
        await NpmAsync(["ci", "--no-audit", "--no-fund"], cancellationToken);
        AtomicFile.Write(InstalledMark, wanted);
    }

    public async Task BuildAsync(CancellationToken cancellationToken)
    {
        var sources = HashOf(SourceFiles());
        await InstallAsync(cancellationToken);
        await NpmAsync(["run", "build"], cancellationToken);
        AtomicFile.Write(BuiltMark, sources);
    }

    public bool HasScript(string name) =>
        File.ReadAllText(Path.Combine(Folder, "package.json")).Contains($"\"{name}\":", StringComparison.Ordinal);

    private async Task NpmAsync(string[] arguments, CancellationToken cancellationToken)
    {
        var result = await Tool.RunAsync("npm", arguments, cancellationToken, Folder);
        if (!result.Succeeded)
            throw new CommandException($"npm {string.Join(' ', arguments)} failed in {Folder}:\n{result.Tail(40)}");
    }

    private IEnumerable<string> SourceFiles() => Directory.EnumerateFileSystemEntries(Folder)
        .Where(entry => !NotSources.Contains(Path.GetFileName(entry)))
        .SelectMany(entry => Directory.Exists(entry) ? Directory.EnumerateFiles(entry, "*", SearchOption.AllDirectories) : [entry]);

    private static string HashOf(IEnumerable<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in files.Order(StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(file));
            hash.AppendData(File.ReadAllBytes(file));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string? ReadMark(string file) => File.Exists(file) ? File.ReadAllText(file) : null;
}
