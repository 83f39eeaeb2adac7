using System.Formats.Tar;
using System.IO.Compression;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>
/// llama.cpp's source of exactly the release the libraries were built from: a git bundle inside the npm package of the same version. What is
/// compiled here (the shim, the reference server) is compiled from it.
/// </summary>
public sealed class LlamaSource(string cacheDirectory)
{
    private const string BundleEntry = "package/llama/gitRelease.bundle";

    /// <summary>For instance <c>~/.cache/fleet/llama.cpp/source-3.22.1</c>: llama.cpp's own tree, complete when it exists and never written to.</summary>
    public string Directory { get; } = Path.Combine(cacheDirectory, "llama.cpp", $"source-{PinnedPackages.Version}");

    public async Task<string> EnsureAsync(IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (System.IO.Directory.Exists(Directory))
            return Directory;
        using var held = await FileLock.AcquireAsync(
            Path.Combine(cacheDirectory, "llama.cpp", "source.lock"),
            () => progress.Report("Another run is fetching llama.cpp's source; waiting for it"),
            cancellationToken);
        if (System.IO.Directory.Exists(Directory))
            return Directory;

        await BuildTools.EnsureAsync(["git"], progress, cancellationToken);
        progress.Report("Fetching llama.cpp's source");
        // Beside the destination, so that the last step is a rename within one file system; a killed run's rest is removed.
        var work = Directory + ".partial";
        if (System.IO.Directory.Exists(work))
            System.IO.Directory.Delete(work, recursive: true);
        System.IO.Directory.CreateDirectory(work);
        try
        {
            var archive = await PinnedPackages.Find("source").FetchAsync(work, cancellationToken);
            var bundle = Path.Combine(work, "source.bundle");
            await ExtractAsync(archive, bundle, cancellationToken);
            var tree = Path.Combine(work, "tree");
            var clone = await Tool.RunAsync("git", ["-c", "core.autocrlf=false", "clone", "--quiet", bundle, tree], cancellationToken, work);
            if (!clone.Succeeded)
                throw new ProvisioningException($"git could not unpack llama.cpp's source:\n{clone.Tail()}");
            // The history is one commit; without it nothing that is built asks git for a version.
            System.IO.Directory.Delete(Path.Combine(tree, ".git"), recursive: true);
            System.IO.Directory.Move(tree, Directory);
        }
        finally
        {
            System.IO.Directory.Delete(work, recursive: true);
        }

        return Directory;
    }

    /// <summary>The one entry that is wanted, by its exact name.</summary>
    internal static async Task ExtractAsync(string archive, string destination, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        await using var unzipped = new GZipStream(file, CompressionMode.Decompress);
        await using var tar = new TarReader(unzipped);
        while (await tar.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
        {
            if (entry.Name != BundleEntry || entry.DataStream is null)
                continue;
            await entry.ExtractToFileAsync(destination, overwrite: true, cancellationToken);
            return;
        }

        throw new ProvisioningException($"{Path.GetFileName(archive)} holds no {BundleEntry}.");
    }
}
