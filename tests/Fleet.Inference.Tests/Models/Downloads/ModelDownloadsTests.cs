using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Fleet.Contracts.Events;
using Fleet.Inference.Models;
using Fleet.Inference.Models.Downloads;
using Fleet.Models;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models.Downloads;

public sealed class ModelDownloadsTests : IAsyncLifetime
{
    private static readonly byte[] Model = LlamaModel.Tiny.ToArray();
    private static readonly string Checksum = Convert.ToHexStringLower(SHA256.HashData(Model));

    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-downloads-").FullName;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly Recorder _recorder = new();
    private FileServer _server = null!;
    private long _free = long.MaxValue / 2;

    private string Target => Path.Combine(_directory, "model.gguf");

    public async ValueTask InitializeAsync() => _server = await FileServer.StartAsync(Model);

    [Fact]
    public async Task Download_WithTheRightChecksum_InstallsTheFileAndSaysSo()
    {
        var downloads = Downloads(out var catalogue);

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), Checksum));

        Assert.Equal((DownloadState.Completed, Model.LongLength, (long?)Model.Length), (ended.State, ended.BytesDone, ended.BytesTotal));
        Assert.Equal(Model, await File.ReadAllBytesAsync(Target));
        Assert.Contains(catalogue.Models, model => model.Id == "model");
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_directory, ".downloads")));
        await Eventually.TrueAsync(() => _recorder.Published.Any(published => published is ModelDownloadCompleted { File: "model.gguf" }));
        Assert.Contains(_recorder.Published, published => published is ModelDownloadStarted { Source: "127.0.0.1" });
    }

    [Fact]
    public async Task Download_ConnectionBreaksTwice_GoesOnWhereItStopped()
    {
        _server.Next.Enqueue(_server.CutAfter(100_000));
        _server.Next.Enqueue(_server.CutAfter(150_000));
        var downloads = Downloads();

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), Checksum));

        Assert.Equal(DownloadState.Completed, ended.State);
        var ranges = _server.Ranges.ToArray();
        Assert.Equal(3, ranges.Length);
        Assert.Equal("", ranges[0]);
        Assert.All(ranges[1..], range => Assert.StartsWith("bytes=", range, StringComparison.Ordinal));
        Assert.Equal(Model, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task Download_FileChangedBetweenAttempts_BeginsAnew()
    {
        var other = (LlamaModel.Tiny with { Seed = 9 }).ToArray();
        var cut = _server.CutAfter(100_000);
        _server.Next.Enqueue(async context =>
        {
            try
            {
                await cut(context);
            }
            finally
            {
                (_server.File, _server.ETag) = (other, "\"2\"");
            }
        });
        var downloads = Downloads();

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), null));

        Assert.Equal(DownloadState.Completed, ended.State);
        Assert.Equal(other, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task Download_ServiceRestarted_GoesOnWithTheRest()
    {
        _server.Next.Enqueue(_server.HangAfter(200_000));
        var before = Downloads();
        var started = before.Start(_server.Url(), Checksum);
        await Eventually.TrueAsync(() => before.Find(started.Id)!.BytesDone >= 200_000);
        await before.DisposeAsync();
        Assert.False(File.Exists(Target));

        var after = Downloads();
        await after.StartAsync(CancellationToken.None);
        var ended = await EndOfAsync(after, after.Find(started.Id)!);

        Assert.Equal(DownloadState.Completed, ended.State);
        Assert.Equal("bytes=200000-", _server.Ranges.Last());
        Assert.Equal(Model, await File.ReadAllBytesAsync(Target));
    }

    [Fact]
    public async Task Download_WrongChecksum_DeletesWhatArrivedAndInstallsNothing()
    {
        var downloads = Downloads();

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), new string('0', 64)));

        Assert.Equal((DownloadState.Failed, 0L), (ended.State, ended.BytesDone));
        Assert.Contains(Checksum, ended.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(Target));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_directory, ".downloads"), "*.part"));
    }

    [Fact]
    public async Task Download_NotAModel_IsRefused()
    {
        _server.File = new byte[5000];
        var downloads = Downloads();

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), null));

        Assert.Equal(DownloadState.Failed, ended.State);
        Assert.Contains("GGUF", ended.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(Target));
    }

    [Theory]
    [InlineData(404, 1)]
    [InlineData(403, 1)]
    [InlineData(503, 3)]
    public async Task Download_ErrorStatus_IsRetriedOnlyWhenItMayPass(int status, int requests)
    {
        for (var i = 0; i < 10; i++)
            _server.Next.Enqueue(FileServer.Status(status));
        var downloads = Downloads();

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), null));

        Assert.Equal((DownloadState.Failed, requests), (ended.State, _server.Ranges.Count));
        Assert.Contains($"answers {status}", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_Redirects_AreFollowedAndCheckedAndBounded()
    {
        _server.Next.Enqueue(FileServer.Status(302, response => response.Headers.Location = "/elsewhere"));
        var downloads = Downloads();
        Assert.Equal(DownloadState.Completed, (await EndOfAsync(downloads, downloads.Start(_server.Url(), null))).State);

        for (var i = 0; i < 20; i++)
            _server.Next.Enqueue(FileServer.Status(302, response => response.Headers.Location = "/again"));
        var circle = await EndOfAsync(downloads, downloads.Start(_server.Url("circle.gguf"), null));
        Assert.Contains("circles", circle.Error, StringComparison.Ordinal);

        _server.Next.Clear();
        _server.Next.Enqueue(FileServer.Status(302, response => response.Headers.Location = "file:///etc/passwd"));
        var scheme = await EndOfAsync(downloads, downloads.Start(_server.Url("scheme.gguf"), null));
        Assert.Contains("not file", scheme.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_ServerSendsNothing_IsTriedAgain()
    {
        _server.Next.Enqueue(_server.HangAfter(1000));
        var downloads = Downloads(options => (options.Silence, options.Retries) = (TimeSpan.FromSeconds(1), 20));

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), Checksum));

        // On a busy machine even the first answer may come too late, so how much was there to go on from is not asked.
        Assert.Equal(DownloadState.Completed, ended.State);
        Assert.True(_server.Ranges.Count > 1);
    }

    [Fact]
    public async Task Cancel_WhileRunning_DeletesEverything()
    {
        _server.Next.Enqueue(_server.HangAfter(100_000));
        var downloads = Downloads();
        var started = downloads.Start(_server.Url(), null);
        await Eventually.TrueAsync(() => downloads.Find(started.Id)!.BytesDone >= 100_000);

        Assert.True(await downloads.CancelAsync(started.Id, CancellationToken.None));

        Assert.Null(downloads.Find(started.Id));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_directory, ".downloads")));
        Assert.False(await downloads.CancelAsync(started.Id, CancellationToken.None));
    }

    [Fact]
    public async Task Download_DiskFullBefore_FailsWithTheNumbers()
    {
        _free = 1 << 20;
        var downloads = Downloads(options => options.ReserveBytes = 10 << 20);

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), null));

        Assert.Equal(DownloadState.Failed, ended.State);
        Assert.Contains("10 MiB stay in reserve, 1 MiB are free", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_DiskFillsUpOnTheWay_KeepsWhatArrivedAndGoesOnLater()
    {
        _server.Next.Enqueue(_server.CutAfter(100_000));
        _server.Next.Enqueue(context =>
        {
            _free = 0;
            return FileServer.Status(503)(context);
        });
        var downloads = Downloads();
        var full = await EndOfAsync(downloads, downloads.Start(_server.Url(), Checksum));
        Assert.Equal(DownloadState.Failed, full.State);
        Assert.Contains("What has arrived is kept", full.Error, StringComparison.Ordinal);
        Assert.Equal(100_000, full.BytesDone);

        _free = long.MaxValue / 2;
        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), Checksum));

        Assert.Equal((DownloadState.Completed, "bytes=100000-"), (ended.State, _server.Ranges.Last()));
    }

    [Fact]
    public async Task Start_OneFileManyTimes_IsOneDownload()
    {
        _server.Next.Enqueue(_server.HangAfter(1000));
        var downloads = Downloads();

        var started = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => downloads.Start(_server.Url(), null))));

        Assert.Single(started.Select(download => download.Id).Distinct());
        await Eventually.TrueAsync(() => !_server.Ranges.IsEmpty);
        Assert.Single(_server.Ranges);
        Assert.Contains("elsewhere", Assert.Throws<DownloadException>(() => downloads.Start($"{_server.Address}/other/model.gguf", null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_MoreThanAllowedAtATime_Wait()
    {
        for (var i = 0; i < 2; i++)
            _server.Next.Enqueue(_server.HangAfter(1000));
        var downloads = Downloads(options => options.MaxConcurrent = 2);

        foreach (var name in (string[])["a.gguf", "b.gguf", "c.gguf"])
            downloads.Start(_server.Url(name), null);
        await Eventually.TrueAsync(() => downloads.List().Count(download => download.BytesDone == 1000) == 2);

        Assert.Single(downloads.List(), download => download.State == DownloadState.Queued);
        await downloads.CancelAsync(downloads.List().First(download => download.State == DownloadState.Running).Id, CancellationToken.None);
        await Eventually.TrueAsync(() => downloads.List().Any(download => download.State == DownloadState.Completed));
    }

    [Fact]
    public async Task Start_FileIsThereAlready_IsRefused()
    {
        LlamaModel.Tiny.Save(Target);

        Assert.Contains("already", Assert.Throws<DownloadException>(() => Downloads().Start(_server.Url(), null)).Message, StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    [Theory]
    [InlineData("http://192.0.2.1/a.gguf", "over https")]
    [InlineData("ftp://hub.test/a.gguf", "not ftp")]
    [InlineData("https://user:secret@hub.test/a.gguf", "name or password")]
    [InlineData("https://hub.test/a.bin", "name of a GGUF file")]
    [InlineData("https://hub.test/..%2F.gguf", "name of a GGUF file")]
    [InlineData("https://hub.test/.hidden.gguf", "name of a GGUF file")]
    [InlineData("owner/file.gguf", "neither")]
    [InlineData("owner/../file.gguf", "neither")]
    [InlineData("", "neither")]
    public void Parse_WhatIsNotAModelsAddress_IsRefused(string source, string reason) =>
        Assert.Contains(reason, Assert.Throws<DownloadException>(() => DownloadSource.Parse(source, null, new DownloadsOptions())).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_HubAndRecommended_AreOnTheHub()
    {
        var options = new DownloadsOptions { HubAddress = "https://hub.test/" };

        Assert.Equal("https://hub.test/owner/name/resolve/main/q4/a%20b.gguf", DownloadSource.Parse("owner/name/q4/a b.gguf", null, options).Address.AbsoluteUri);
        Assert.Equal("Qwen3-4B-Q4_K_M.gguf", DownloadSource.Parse("qwen3-4b", null, options).FileName);
        Assert.Throws<DownloadException>(() => DownloadSource.Parse("qwen3-4b", "abc", options));
    }

    [Fact]
    public async Task Download_PrivateAddress_IsRefusedUnlessAllowed()
    {
        var downloads = Downloads(options => options.AllowPrivateAddresses = false);

        var ended = await EndOfAsync(downloads, downloads.Start(_server.Url(), null));
        var byName = await EndOfAsync(downloads, downloads.Start(_server.Url("b.gguf").Replace("127.0.0.1", "localhost", StringComparison.Ordinal), null));

        Assert.All([ended, byName], download => Assert.Contains("not an address of the internet", download.Error, StringComparison.Ordinal));
        Assert.Empty(_server.Ranges);
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700::1", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.20.0.1", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.100.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("64:ff9b::a00:1", false)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("2002:0a00:0001::", false)]
    public void IsPublic_KnowsTheInternetFromTheInside(string address, bool isPublic) => Assert.Equal(isPublic, PublicConnections.IsPublic(IPAddress.Parse(address)));

    [Fact]
    public async Task Follow_EndsWithTheLastState()
    {
        var downloads = Downloads();
        var started = downloads.Start(_server.Url(), null);

        var seen = new List<DownloadSnapshot>();
        await foreach (var snapshot in downloads.FollowAsync(started.Id, TestContext.Current.CancellationToken))
            seen.Add(snapshot);

        Assert.Equal(DownloadState.Completed, seen[^1].State);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var running in _running)
            await running.DisposeAsync();
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private ModelDownloads Downloads(Action<DownloadsOptions>? configure = null) => Downloads(out _, configure);

    private ModelDownloads Downloads(out ModelCatalogue catalogue, Action<DownloadsOptions>? configure = null)
    {
        var options = new DownloadsOptions
        {
            AllowHttp = true,
            AllowPrivateAddresses = true,
            Retries = 2,
            RetryDelay = TimeSpan.FromMilliseconds(1),
            ReserveBytes = 1,
        };
        configure?.Invoke(options);
        catalogue = new ModelCatalogue(Options.Create(new ModelsOptions { ModelsDirectory = _directory }), NullLogger<ModelCatalogue>.Instance);
        var events = new ModelEvents(_recorder, NullLogger<ModelEvents>.Instance);
        _ = events.StartAsync(CancellationToken.None);
        var downloads = new ModelDownloads(
            Options.Create(options), new DownloadFolder(_directory, _ => _free), catalogue, events, TimeProvider.System, NullLogger<ModelDownloads>.Instance);
        _running.Add(downloads);
        return downloads;
    }

    private static async Task<DownloadSnapshot> EndOfAsync(ModelDownloads downloads, DownloadSnapshot download)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        DownloadSnapshot last = download;
        await foreach (var snapshot in downloads.FollowAsync(download.Id, limit.Token))
            last = snapshot;
        return last;
    }

    private sealed class Recorder : IEventPublisher
    {
        public ConcurrentQueue<IntegrationEvent> Published { get; } = [];

        public Task PublishAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken)
        {
            Published.Enqueue(integrationEvent);
            return Task.CompletedTask;
        }
    }
}
