using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>
/// The models there are: the built-in engines and every *.gguf in the models directory, read again when the directory changes.
/// Thread-safe; <see cref="Models"/> is an immutable snapshot.
/// </summary>
internal sealed partial class ModelCatalogue : IDisposable
{
    private readonly string _directory;
    private readonly ILogger<ModelCatalogue> _logger;
    private readonly IReadOnlyList<ModelDescription> _remote;
    private readonly FileSystemWatcher? _watcher;
    private readonly Lock _scanning = new();
    private readonly Timer _rescan;
    private volatile IReadOnlyList<ModelDescription> _models = [];

    // A download writes for a long time: look when it has been quiet for a moment.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(500);

    public ModelCatalogue(IOptions<ModelsOptions> options, ILogger<ModelCatalogue> logger, IRemoteModels? remote = null)
    {
        _remote = remote?.Models ?? [];
        _directory = Path.GetFullPath(options.Value.ModelsDirectory);
        _logger = logger;
        _rescan = new Timer(_ => Rescan());
        try
        {
            Directory.CreateDirectory(_directory);
            _watcher = new FileSystemWatcher(_directory, "*.gguf") { NotifyFilter = NotifyFilters.FileName | NotifyFilters.Size | NotifyFilters.LastWrite };
            _watcher.Created += OnChanged;
            _watcher.Changed += OnChanged;
            _watcher.Deleted += OnChanged;
            _watcher.Renamed += OnChanged;
            _watcher.EnableRaisingEvents = true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.DirectoryUnavailable(_logger, exception, _directory);
        }

        Rescan();
    }

    /// <summary>Raised after every scan, on whatever thread scanned.</summary>
    public event Action? Changed;

    public IReadOnlyList<ModelDescription> Models => _models;

    public ModelDescription? Find(string id) => _models.FirstOrDefault(model => model.Id == id);

    public void Rescan()
    {
        lock (_scanning)
        {
            var known = _models.Where(model => model.Path is not null).ToDictionary(model => model.Path!, StringComparer.Ordinal);
            var installed = Files().Select(file => Describe(file, known)).OrderBy(model => model.Id, StringComparer.Ordinal);
            _models = [.. installed, .. _remote, ModelDescription.Extractive, ModelDescription.NGramEmbedding];
            Log.Scanned(_logger, _models.Count - _remote.Count - 2, _models.Count(model => model.Problem is not null));
        }

        Changed?.Invoke();
    }

    /// <summary>Deletes a model's file, of a split model all its files. False when there is none.</summary>
    public bool Delete(string id)
    {
        if (Find(id) is not { Path: { } path })
            return false;

        File.Delete(path);
        foreach (var part in SplitParts(path))
            File.Delete(part);
        Rescan();
        return true;
    }

    public void Dispose()
    {
        _watcher?.Dispose();
        _rescan.Dispose();
    }

    private IEnumerable<FileInfo> Files()
    {
        try
        {
            return [.. new DirectoryInfo(_directory).EnumerateFiles("*.gguf").Where(file => !IsLaterPart(file.Name))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.DirectoryUnavailable(_logger, exception, _directory);
            return [];
        }
    }

    // Unchanged files are not read again.
    private static ModelDescription Describe(FileInfo file, Dictionary<string, ModelDescription> known) =>
        known.TryGetValue(file.FullName, out var before) && before.SizeBytes == file.Length && before.Created == file.LastWriteTimeUtc
            ? before
            : ModelDescription.FromFile(file);

    // Large models come in parts, "name-00001-of-00003.gguf"; the first stands for all, llama.cpp opens the others.
    private static bool IsLaterPart(string name) => SplitName().Match(name) is { Success: true } match && match.Groups[2].Value != "00001";

    private static IEnumerable<string> SplitParts(string path)
    {
        var match = SplitName().Match(Path.GetFileName(path));
        return match.Success
            ? Directory.EnumerateFiles(Path.GetDirectoryName(path)!, $"{match.Groups[1].Value}-*-of-{match.Groups[3].Value}.gguf")
            : [];
    }

    private void OnChanged(object sender, FileSystemEventArgs change) => _rescan.Change(Quiet, Timeout.InfiniteTimeSpan);

    [System.Text.RegularExpressions.GeneratedRegex(@"^(.+)-(\d{5})-of-(\d{5})\.gguf$")]
    private static partial System.Text.RegularExpressions.Regex SplitName();

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Debug, Message = "Found {Count} installed models, {Unusable} of them unusable")]
        public static partial void Scanned(ILogger logger, int count, int unusable);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The models directory {Directory} cannot be used; only built-in models are offered")]
        public static partial void DirectoryUnavailable(ILogger logger, Exception exception, string directory);
    }
}
