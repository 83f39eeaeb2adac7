using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Fleet.Provisioning.Native;

namespace Fleet.Provisioning.Tests.Native;

public sealed class NativeLibrariesTests
{
    [Fact]
    public async Task UnpackAsync_TakesLibrariesByBareNameOnly()
    {
        using var folder = new TemporaryFolder();
        WriteArchive(folder["package.tgz"], "package/bins/linux-x64/libllama.v0.5.0.so", "package/../../escaped.so", "package/README.md");

        await NativeLibraries.UnpackAsync(folder["package.tgz"], folder["out"], TestContext.Current.CancellationToken);

        Assert.Equal(["escaped.so", "libllama.v0.5.0.so"], Directory.GetFiles(folder["out"]).Select(Path.GetFileName).Order());
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public async Task UnpackAsync_OfAPackageWithoutLibraries_SaysSo()
    {
        using var folder = new TemporaryFolder();
        WriteArchive(folder["package.tgz"], "package/README.md");

        await Assert.ThrowsAsync<ProvisioningException>(
            () => NativeLibraries.UnpackAsync(folder["package.tgz"], folder["out"], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task VerifyAsync_OfAChangedPackage_Refuses()
    {
        using var folder = new TemporaryFolder();
        WriteArchive(folder["package.tgz"], "package/bins/linux-x64/libllama.so");
        var content = await File.ReadAllBytesAsync(folder["package.tgz"], TestContext.Current.CancellationToken);
        var integrity = "sha512-" + Convert.ToBase64String(SHA512.HashData(content));

        await PinnedPackage.VerifyAsync(folder["package.tgz"], integrity, TestContext.Current.CancellationToken);
        content[^1] ^= 1;
        await File.WriteAllBytesAsync(folder["package.tgz"], content, TestContext.Current.CancellationToken);

        var refusal = await Assert.ThrowsAsync<ProvisioningException>(
            () => PinnedPackage.VerifyAsync(folder["package.tgz"], integrity, TestContext.Current.CancellationToken));
        Assert.Contains("not the pinned package", refusal.Message);
    }

    [Fact]
    public async Task EnsureAsync_OfAnUnknownFlavour_NamesIt()
    {
        using var folder = new TemporaryFolder();

        var refusal = await Assert.ThrowsAsync<ProvisioningException>(() => new NativeLibraries(folder.Path)
            .EnsureAsync("plan9-sparc", new Progress<string>(), TestContext.Current.CancellationToken));

        Assert.Contains("plan9-sparc", refusal.Message);
    }

    private static void WriteArchive(string path, params string[] names)
    {
        using var zipped = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        using var tar = new TarWriter(zipped);
        foreach (var name in names)
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream([1, 2, 3]) });
    }
}
