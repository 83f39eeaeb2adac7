using Fleet.Contracts.Events;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models.Downloads;

internal enum DownloadState
{
    Queued,
    Running,

    /// <summary>All bytes are here and are being checked.</summary>
    Verifying,
    Completed,
    Failed,
    Cancelled,
}

/// <summary>A download as others see it at one moment.</summary>
/// <param name="Attempt">Counts from 1; 0 before the first.</param>
/// <param name="Error">Why it failed, or why it is being tried again.</param>
internal sealed record DownloadSnapshot(
    string Id, Uri Source, string FileName, DownloadState State, long BytesDone, long? BytesTotal, int Attempt, string? Error, string? Sha256, DateTimeOffset CreatedAt)
{
    public bool Ended => State is DownloadState.Completed or DownloadState.Failed or DownloadState.Cancelled;
}

/// <summary>
/// Fetches models into the models directory: a few at a time, one per file, going on after broken connections and restarts. Thread-safe.
/// </summary>
internal sealed partial class ModelDownloads : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan LongestDelay = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ProgressEvery = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Download> _downloads = new(StringComparer.Ordinal);
    private readonly DownloadFolder _folder;
    private readonly DownloadTransfer _transfer;
    private readonly DownloadsOptions _options;
    private readonly ModelCatalogue _catalogue;
    private readonly ModelEvents _events;
    private readonly TimeProvider _time;
    private readonly ILogger<ModelDownloads> _logger;
    private readonly HttpClient _client;
    private readonly SemaphoreSlim _turns;
    private readonly CancellationTokenSource _stopping = new();

    public ModelDownloads(
        IOptions<DownloadsOptions> options, IOptions<ModelsOptions> models, ModelCatalogue catalogue, ModelEvents events, TimeProvider time, ILogger<ModelDownloads> logger)
        : this(options, new DownloadFolder(Path.GetFullPath(models.Value.ModelsDirectory)), catalogue, events, time, logger)
    {
    }

    internal ModelDownloads(
        IOptions<DownloadsOptions> options, DownloadFolder folder, ModelCatalogue catalogue, ModelEvents events, TimeProvider time, ILogger<ModelDownloads> logger)
    {
        (_options, _folder, _catalogue, _events, _time, _logger) = (options.Value, folder, catalogue, events, time, logger);
        _client = new HttpClient(PublicConnections.CreateHandler(_options)) { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd("Fleet");
        _transfer = new DownloadTransfer(_client, folder, _options, time);
        _turns = new SemaphoreSlim(_options.MaxConcurrent);
    }

    public IReadOnlyList<DownloadSnapshot> List()
    {
        lock (_lock)
            return [.. _downloads.Values.Select(download => download.Snapshot).OrderByDescending(download => download.CreatedAt)];
    }

    public DownloadSnapshot? Find(string id)
    {
        lock (_lock)
            return _downloads.GetValueOrDefault(id)?.Snapshot;
    }

    /// <summary>
    /// Starts a download, or joins the one of the same file from the same place; one that had failed goes on where it stopped.
    /// </summary>
    /// <exception cref="DownloadException">The source cannot be used, the file is there already or comes from elsewhere now.</exception>
    public DownloadSnapshot Start(string source, string? sha256)
    {
        var parsed = DownloadSource.Parse(source, sha256, _options);
        var id = DownloadFolder.IdOf(parsed.Address, parsed.FileName);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            if (_downloads.TryGetValue(id, out var known) && !known.Snapshot.Ended)
                return known.Snapshot;
            if (_downloads.Values.Any(other => other.Snapshot.FileName == parsed.FileName && !other.Snapshot.Ended))
                throw new DownloadException($"{parsed.FileName} is being downloaded from elsewhere.");
            if (File.Exists(_folder.TargetOf(parsed.FileName)))
                throw new DownloadException($"{parsed.FileName} is there already; delete the model first.");

            var before = _folder.List().FirstOrDefault(entry => entry.Id == id).Manifest;
            var manifest = new DownloadManifest(parsed.Address, parsed.FileName, parsed.Sha256 ?? before?.Sha256, _time.GetUtcNow(), before?.Version, before?.TotalBytes, null);
            _folder.Save(id, manifest);
            _events.Publish(new ModelDownloadStarted { Download = id, Source = parsed.Address.Host, File = parsed.FileName });
            return Begin(id, manifest).Snapshot;
        }
    }

    /// <summary>Ends a download and deletes what has arrived, or forgets one that has ended. False when there is none.</summary>
    public async Task<bool> CancelAsync(string id, CancellationToken cancellationToken)
    {
        Download? download;
        lock (_lock)
        {
            if (!_downloads.TryGetValue(id, out download))
                return false;
        }

        download.Cancelled = true;
        await download.Stop.CancelAsync();
        await download.Work.WaitAsync(cancellationToken);
        lock (_lock)
            _downloads.Remove(id);
        _folder.Forget(id);
        return true;
    }

    /// <summary>Snapshots as they change, a few a second at most, ending with the last one. Empty when there is no such download.</summary>
    public async IAsyncEnumerable<DownloadSnapshot> FollowAsync(string id, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Download? download;
        lock (_lock)
            download = _downloads.GetValueOrDefault(id);
        if (download is null)
            yield break;

        while (true)
        {
            var changed = download.Changed;
            var snapshot = download.Snapshot;
            yield return snapshot;
            if (snapshot.Ended)
                yield break;

            await changed.WaitAsync(cancellationToken);
            if (!download.Snapshot.Ended)
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellationToken);
        }
    }

    /// <summary>Goes on with what was running when the service stopped.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            foreach (var (id, manifest) in _folder.List())
            {
                if (manifest.Error is null)
                    Begin(id, manifest);
                else
                    _downloads[id] = new Download(Snapshot(id, manifest) with { State = DownloadState.Failed, Error = manifest.Error });
            }
        }

        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken) => await DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_lock)
        {
            if (_stopping.IsCancellationRequested)
                return;
            _stopping.Cancel();
            running = [.. _downloads.Values.Select(download => download.Work)];
        }

        await Task.WhenAll(running);
        _client.Dispose();
    }

    private Download Begin(string id, DownloadManifest manifest)
    {
        var download = new Download(Snapshot(id, manifest)) { Stop = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token) };
        _downloads[id] = download;
        download.Work = Task.Run(() => RunAsync(id, manifest, download), CancellationToken.None);
        return download;
    }

    private DownloadSnapshot Snapshot(string id, DownloadManifest manifest) =>
        new(id, manifest.Address, manifest.FileName, DownloadState.Queued, _folder.Arrived(id), manifest.TotalBytes, 0, null, manifest.Sha256, manifest.CreatedAt);

    private async Task RunAsync(string id, DownloadManifest manifest, Download download)
    {
        var cancellationToken = download.Stop.Token;
        try
        {
            await _turns.WaitAsync(cancellationToken);
            try
            {
                manifest = await FetchAsync(id, manifest, download, cancellationToken);
                download.Update(snapshot => snapshot with { State = DownloadState.Verifying, Error = null });
                await _transfer.VerifyAsync(id, manifest, cancellationToken);
                _folder.Install(id, manifest.FileName);
            }
            finally
            {
                _turns.Release();
            }

            _catalogue.Rescan();
            download.Update(snapshot => snapshot with { State = DownloadState.Completed });
            Log.Completed(_logger, manifest.FileName, download.Snapshot.BytesDone >> 20);
            _events.Publish(new ModelDownloadCompleted { Download = id, File = manifest.FileName, Bytes = download.Snapshot.BytesDone });
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // By a person: everything is forgotten. Because the service stops: it goes on when the service does.
            if (download.Cancelled)
                download.Update(snapshot => snapshot with { State = DownloadState.Cancelled, Error = null });
        }
        catch (Exception exception)
        {
            Fail(id, manifest, download, exception);
        }
    }

    private async Task<DownloadManifest> FetchAsync(string id, DownloadManifest manifest, Download download, CancellationToken cancellationToken)
    {
        var delay = _options.RetryDelay;
        var published = _time.GetTimestamp();
        for (var attempt = 1; ; attempt++)
        {
            var before = _folder.Arrived(id);
            download.Update(snapshot => snapshot with { State = DownloadState.Running, Attempt = attempt });
            try
            {
                return await _transfer.FetchAsync(id, manifest, Report, cancellationToken);
            }
            catch (DownloadException exception) when (exception.MayPass && attempt <= _options.Retries)
            {
                if (exception.Discard)
                    _folder.Discard(id);
                // What the server said of its version was written down while it sent.
                manifest = _folder.List().FirstOrDefault(entry => entry.Id == id).Manifest ?? manifest;
                if (_folder.Arrived(id) > before)
                    (attempt, delay) = (0, _options.RetryDelay);

                var wait = exception.RetryAfter is { } asked && asked > delay ? asked : delay;
                download.Update(snapshot => snapshot with { Error = exception.Message, BytesDone = _folder.Arrived(id) });
                Log.Retrying(_logger, manifest.FileName, exception.Message, wait.TotalSeconds);
                await Task.Delay(wait, _time, cancellationToken);
                delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
            }
        }

        void Report(long done, long? total)
        {
            download.Update(snapshot => snapshot with { BytesDone = done, BytesTotal = total, Error = null });
            if (_time.GetElapsedTime(published) < ProgressEvery)
                return;
            published = _time.GetTimestamp();
            _events.Publish(new ModelDownloadProgressed { Download = id, File = manifest.FileName, BytesDone = done, BytesTotal = total });
        }
    }

    private void Fail(string id, DownloadManifest manifest, Download download, Exception exception)
    {
        var reason = exception is DownloadException ? exception.Message : "The download failed; the log says more.";
        Log.Failed(_logger, exception, manifest.FileName);
        try
        {
            if (exception is DownloadException { Discard: true })
                _folder.Discard(id);
            var latest = _folder.List().FirstOrDefault(entry => entry.Id == id).Manifest ?? manifest;
            _folder.Save(id, latest with { Error = reason });
        }
        catch (Exception also) when (also is IOException or UnauthorizedAccessException)
        {
            // A full disk cannot take the note either; after a restart the download is simply tried again.
        }

        download.Update(snapshot => snapshot with { State = DownloadState.Failed, Error = reason, BytesDone = _folder.Arrived(id) });
        _events.Publish(new ModelDownloadFailed { Download = id, File = manifest.FileName, Reason = reason });
    }

    /// <summary>Changes on the download's own task; read from any thread.</summary>
    private sealed class Download(DownloadSnapshot snapshot)
    {
        private readonly Lock _lock = new();
        private DownloadSnapshot _snapshot = snapshot;
        private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public CancellationTokenSource Stop { get; init; } = new();

        public Task Work { get; set; } = Task.CompletedTask;

        public volatile bool Cancelled;

        public DownloadSnapshot Snapshot
        {
            get
            {
                lock (_lock)
                    return _snapshot;
            }
        }

        /// <summary>Ends at the next change.</summary>
        public Task Changed
        {
            get
            {
                lock (_lock)
                    return _changed.Task;
            }
        }

        public void Update(Func<DownloadSnapshot, DownloadSnapshot> change)
        {
            lock (_lock)
            {
                _snapshot = change(_snapshot);
                _changed.SetResult();
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "The model file {File} was downloaded, {MiB} MiB")]
        public static partial void Completed(ILogger logger, string file, long miB);

        [LoggerMessage(Level = LogLevel.Information, Message = "The download of {File} goes on in {Seconds:F0} s: {Reason}")]
        public static partial void Retrying(ILogger logger, string file, string reason, double seconds);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The download of {File} failed")]
        public static partial void Failed(ILogger logger, Exception exception, string file);
    }
}
