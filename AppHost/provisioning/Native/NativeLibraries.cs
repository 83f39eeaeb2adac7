using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>
/// llama.cpp's shared libraries. They come as an npm package whose hash is pinned in <c>native-libraries.json</c>; the inference service
/// looks for them in the same folder of the cache (<see cref="DirectoryFor"/>).
/// </summary>
public sealed class NativeLibraries(string cacheDirectory)
{
    private static readonly Manifest Pinned = LoadManifest();

    /// <summary>The package for this machine's processor, without an accelerator.</summary>
    public static string DefaultFlavour => RuntimeInformation.ProcessArchitecture switch
    {
        _ when !OperatingSystem.IsLinux() => throw new ProvisioningException("Fleet's inference service runs on Linux."),
        Architecture.X64 => "linux-x64",
        Architecture.Arm64 => "linux-arm64",
        var other => throw new ProvisioningException($"There are no llama.cpp libraries for the processor family {other}."),
    };

    /// <summary>For instance <c>~/.cache/fleet/llama.cpp/linux-x64-3.22.1</c>: a flat folder, complete when it exists.</summary>
    public string DirectoryFor(string flavour) => Path.Combine(cacheDirectory, "llama.cpp", $"{flavour}-{Pinned.Version}");

    public async Task<string> EnsureAsync(string flavour, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var directory = DirectoryFor(flavour);
        if (Directory.Exists(directory))
            return directory;
        using var held = await FileLock.AcquireAsync(
            Path.Combine(cacheDirectory, "llama.cpp", "download.lock"),
            () => progress.Report("Another run is fetching the llama.cpp libraries; waiting for it"),
            cancellationToken);
        if (Directory.Exists(directory))
            return directory;

        var package = Pinned.Packages.SingleOrDefault(candidate => candidate.Flavour == flavour)
            ?? throw new ProvisioningException($"native-libraries.json has no entry for {flavour}.");
        progress.Report($"Fetching the llama.cpp libraries for {flavour}");
        // Beside the destination, so that the last step is a rename within one file system.
        var work = directory + ".partial";
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        Directory.CreateDirectory(work);
        try
        {
            var archive = await DownloadAsync(package, work, cancellationToken);
            await VerifyAsync(archive, package.Integrity, cancellationToken);
            var unpacked = Path.Combine(work, "libraries");
            await UnpackAsync(archive, unpacked, cancellationToken);
            Directory.Move(unpacked, directory);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }

        return directory;
    }

    private static async Task<string> DownloadAsync(Package package, string directory, CancellationToken cancellationToken)
    {
        var npm = Tool.Find("npm") ?? throw new ProvisioningException("npm is not installed; it comes with Node.js 20 or newer.");
        var result = await Tool.RunAsync(
            npm, ["pack", $"{package.Name}@{Pinned.Version}", "--silent", "--pack-destination", directory], cancellationToken, directory);
        return result.Succeeded && Directory.GetFiles(directory, "*.tgz") is [var archive]
            ? archive
            : throw new ProvisioningException($"npm could not fetch {package.Name} {Pinned.Version}:\n{result.Tail()}");
    }

    /// <summary>Compares with npm's own notation, <c>sha512-</c> and base 64.</summary>
    internal static async Task VerifyAsync(string archive, string integrity, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        var actual = "sha512-" + Convert.ToBase64String(await SHA512.HashDataAsync(file, cancellationToken));
        if (actual != integrity)
            throw new ProvisioningException($"{Path.GetFileName(archive)} is not the pinned package: its hash is {actual}, expected {integrity}.");
    }

    /// <summary>
    /// Takes the files of the package's <c>bins/…/</c> folder by their bare names; nothing else, and no path from the archive is
    /// trusted.
    /// </summary>
    internal static async Task UnpackAsync(string archive, string directory, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory);
        await using var file = File.OpenRead(archive);
        await using var unzipped = new GZipStream(file, CompressionMode.Decompress);
        await using var tar = new TarReader(unzipped);
        while (await tar.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
        {
            var name = Path.GetFileName(entry.Name);
            if (entry.DataStream is not null && name.Contains(".so", StringComparison.Ordinal))
                await entry.ExtractToFileAsync(Path.Combine(directory, name), overwrite: false, cancellationToken);
        }

        if (Directory.GetFiles(directory).Length == 0)
            throw new ProvisioningException($"{Path.GetFileName(archive)} holds no shared library.");
    }

    private static Manifest LoadManifest()
    {
        using var stream = typeof(NativeLibraries).Assembly.GetManifestResourceStream("native-libraries.json")!;
        return JsonSerializer.Deserialize<Manifest>(stream, JsonSerializerOptions.Web)!;
    }

    private sealed record Manifest(string Version, Package[] Packages);

    private sealed record Package(
        string Flavour, [property: JsonPropertyName("package")] string Name, string Integrity);
}
