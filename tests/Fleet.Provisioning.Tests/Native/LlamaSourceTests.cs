using System.Formats.Tar;
using System.IO.Compression;
using Fleet.Provisioning.Native;

namespace Fleet.Provisioning.Tests.Native;

public sealed class LlamaSourceTests
{
    [Fact]
    public async Task ExtractAsync_TakesTheBundleAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        WriteArchive(folder["package.tgz"], "package/package.json", "package/other/llama/gitRelease.bundle", "package/llama/gitRelease.bundle");

        await LlamaSource.ExtractAsync(folder["package.tgz"], folder["source.bundle"], TestContext.Current.CancellationToken);

        Assert.Equal("package/llama/gitRelease.bundle", await File.ReadAllTextAsync(folder["source.bundle"], TestContext.Current.CancellationToken));
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public async Task ExtractAsync_OfAPackageWithoutSource_SaysSo()
    {
        using var folder = new TemporaryFolder();
        WriteArchive(folder["package.tgz"], "package/README.md");

        var refusal = await Assert.ThrowsAsync<ProvisioningException>(
            () => LlamaSource.ExtractAsync(folder["package.tgz"], folder["source.bundle"], TestContext.Current.CancellationToken));

        Assert.Contains("gitRelease.bundle", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BuildTools_ThatAreThere_NeedNothing() =>
        await BuildTools.EnsureAsync(["git"], new Progress<string>(), TestContext.Current.CancellationToken);

    private static void WriteArchive(string path, params string[] names)
    {
        using var zipped = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        using var tar = new TarWriter(zipped);
        foreach (var name in names)
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(name)) });
    }
}
