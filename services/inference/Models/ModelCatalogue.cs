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
    private readonly ModelsOptions _options;
    private Dictionary<string, ModelDescription> _known = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<ModelDescription> _models = [];

    // A download writes for a long time: look when it has been quiet for a moment.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(500);

    public ModelCatalogue(IOptions<ModelsOptions> options, ILogger<ModelCatalogue> logger, IRemoteModels? remote = null)
    {
        _remote = remote?.Models ?? [];
        _directory = Path.GetFullPath(options.Value.ModelsDirectory);
        _logger = logger;
        _options = options.Value;
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
            var found = Files().Select(file => Describe(file, _known)).ToList();
            _known = found.ToDictionary(model => model.Path!, StringComparer.Ordinal);
            var adapters = found.Where(model => model.IsAdapter).ToList();
            var installed = found.Where(model => !model.IsAdapter).Select(model => WithAdapters(model, found, adapters)).OrderBy(model => model.Id, StringComparer.Ordinal);
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
        foreach (var part in SplitModel.LaterParts(path))
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
            return [.. new DirectoryInfo(_directory).EnumerateFiles("*.gguf").Where(file => !SplitModel.IsLaterPart(file.Name))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.DirectoryUnavailable(_logger, exception, _directory);
            return [];
        }
    }

    // Unchanged files are not read again.
    private static ModelDescription Describe(FileInfo file, Dictionary<string, ModelDescription> known) =>
        known.TryGetValue(file.FullName, out var before) && before.FileBytes == file.Length && before.Created == file.LastWriteTimeUtc
            ? before
            : ModelDescription.FromFile(file);

    // An adapter belongs to the model whose id its name begins with (the longest, when several do), or to those whose options name its file.
    private ModelDescription WithAdapters(ModelDescription model, List<ModelDescription> found, List<ModelDescription> adapters)
    {
        var own = adapters.Where(adapter => adapter.Architecture == model.Architecture && (IsNamed(adapter) || IsPrefix(adapter)))
            .Select(adapter => new AdapterDescription(AdapterId(adapter.Id), adapter.Path!, adapter.SizeBytes)).OrderBy(adapter => adapter.Id, StringComparer.Ordinal).ToList();
        // The same list again, so that nothing seems to have changed when nothing has.
        var before = Find(model.Id)?.Adapters ?? [];
        return model with { Adapters = own.SequenceEqual(before) ? before : own };

        bool IsNamed(ModelDescription adapter) => _options.Of(model.Id).Adapters.Contains(Path.GetFileName(adapter.Path!), StringComparer.Ordinal);

        bool IsPrefix(ModelDescription adapter) =>
            found.Where(candidate => !candidate.IsAdapter && adapter.Id.StartsWith(candidate.Id, StringComparison.Ordinal) && adapter.Id.Length > candidate.Id.Length)
                .MaxBy(candidate => candidate.Id.Length)?.Id == model.Id;
    }

    private static string AdapterId(string name) => name.EndsWith(".lora", StringComparison.Ordinal) ? name[..^5] : name;

    private void OnChanged(object sender, FileSystemEventArgs change) => _rescan.Change(Quiet, Timeout.InfiniteTimeSpan);

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Debug, Message = "Found {Count} installed models, {Unusable} of them unusable")]
        public static partial void Scanned(ILogger logger, int count, int unusable);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The models directory {Directory} cannot be used; only built-in models are offered")]
        public static partial void DirectoryUnavailable(ILogger logger, Exception exception, string directory);
    }
}
