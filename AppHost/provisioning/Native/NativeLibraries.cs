using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Fleet.Provisioning.Native;

/// <summary>
/// llama.cpp's shared libraries. They come as an npm package whose hash is pinned in <c>native-libraries.json</c>; the inference service
/// looks for them in the same folder of the cache (<see cref="DirectoryFor"/>).
/// </summary>
public sealed class NativeLibraries(string cacheDirectory)
{
    /// <summary>The package for this machine's processor, without an accelerator.</summary>
    public static string DefaultFlavour => RuntimeInformation.ProcessArchitecture switch
    {
        _ when !OperatingSystem.IsLinux() => throw new ProvisioningException("Fleet's inference service runs on Linux."),
        Architecture.X64 => "linux-x64",
        Architecture.Arm64 => "linux-arm64",
        var other => throw new ProvisioningException($"There are no llama.cpp libraries for the processor family {other}."),
    };

    /// <summary>For instance <c>~/.cache/fleet/llama.cpp/linux-x64-3.22.1</c>: a flat folder, complete when it exists.</summary>
    public string DirectoryFor(string flavour) => Path.Combine(cacheDirectory, "llama.cpp", $"{flavour}-{PinnedPackages.Version}");

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

        var package = PinnedPackages.Find(flavour);
        progress.Report($"Fetching the llama.cpp libraries for {flavour}");
        // Beside the destination, so that the last step is a rename within one file system.
        var work = directory + ".partial";
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        Directory.CreateDirectory(work);
        try
        {
            var archive = await package.FetchAsync(work, cancellationToken);
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
}
