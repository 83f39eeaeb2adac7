using System.Security.Cryptography;
using Fleet.Cli.Models;

namespace Fleet.Cli.Tests.Models;

public sealed class ModelDownloadTests : IDisposable
{
    private static readonly byte[] Model = [.. "GGUF"u8, .. Enumerable.Range(0, 100_000).Select(number => (byte)(number * 7))];
    private readonly TemporaryFolder _folder = new();
    private readonly ModelServer _server = new(Model);

    public void Dispose()
    {
        _server.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task RunAsync_OfAWholeFile_ReportsProgressAndKeepsNothingElse()
    {
        var reports = new List<(long Done, long? Total)>();

        var file = await Download().RunAsync((done, total) => reports.Add((done, total)), TestContext.Current.CancellationToken);

        Assert.Equal(Model, await File.ReadAllBytesAsync(file.FullName, TestContext.Current.CancellationToken));
        Assert.Equal((Model.Length, Model.Length), reports[^1]);
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public async Task RunAsync_AfterABrokenConnection_GoesOnWhereItStopped()
    {
        _server.BreakAfter = 40_000;
        await Assert.ThrowsAsync<CommandException>(() => Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken));

        var file = await Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken);

        Assert.Equal(["whole", "bytes=40000-"], _server.Ranges);
        Assert.Equal(Model, await File.ReadAllBytesAsync(file.FullName, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task RunAsync_WhenTheFileChangedMeanwhile_BeginsAgain()
    {
        _server.BreakAfter = 40_000;
        await Assert.ThrowsAsync<CommandException>(() => Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken));
        _server.Content = [.. "GGUF"u8, .. "another version"u8];
        _server.EntityTag = "\"v2\"";

        var file = await Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken);

        Assert.Equal(_server.Content, await File.ReadAllBytesAsync(file.FullName, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task RunAsync_WhenEveryByteHadArrived_OnlyFinishes()
    {
        await File.WriteAllBytesAsync(_folder["model.gguf.part"], Model, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(_folder["model.gguf.part.etag"], "\"v1\"", TestContext.Current.CancellationToken);

        var file = await Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken);

        Assert.Equal(Model.Length, file.Length);
    }

    [Fact]
    public async Task RunAsync_WithTheRightHash_Accepts()
    {
        var file = await Download(Convert.ToHexString(SHA256.HashData(Model))).RunAsync((_, _) => { }, TestContext.Current.CancellationToken);

        Assert.True(file.Exists);
    }

    [Fact]
    public async Task RunAsync_WithAnotherHash_DeletesWhatItGot()
    {
        var refusal = await Assert.ThrowsAsync<CommandException>(
            () => Download(new string('0', 64)).RunAsync((_, _) => { }, TestContext.Current.CancellationToken));

        Assert.Contains("hash", refusal.Message);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public async Task RunAsync_OfAnErrorPage_DeletesWhatItGot()
    {
        _server.Content = [.. "<html>sign in first</html>"u8];

        await Assert.ThrowsAsync<CommandException>(() => Download().RunAsync((_, _) => { }, TestContext.Current.CancellationToken));

        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    private ModelDownload Download(string? sha256 = null) =>
        new(new ModelFolder(_folder.Path), ModelSource.Parse("https://models.example/model.gguf", null), sha256, _server);
}
