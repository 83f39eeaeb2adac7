using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Native;

internal sealed record NativeDevice(string Name, string Description, long MemoryFreeBytes, long MemoryTotalBytes, bool IsGpu);

/// <summary>
/// The pinned llama.cpp libraries, loaded once per process from one directory. When they are absent or of another release the service
/// runs without them and <see cref="Unavailable"/> says why: struct layouts differ between releases, so "nearly right" corrupts memory.
/// </summary>
internal sealed partial class NativeLibraries
{
    public const string PinnedVersion = "0.5.0";

    private const string LlamaFile = $"libllama.v{PinnedVersion}.so";
    private const string GgmlFile = $"libggml.v{PinnedVersion}.so";
    private const string GgmlBaseFile = "libggml-base.so";
    private const int GpuDevice = 1;

    private static readonly Lock Loading = new();
    private static string? _directory;

    private readonly ILogger<NativeLibraries> _logger;

    public NativeLibraries(IOptions<NativeOptions> options, ILogger<NativeLibraries> logger)
    {
        _logger = logger;
        var directory = Path.GetFullPath(options.Value.NativeLibraryDirectory);
        Unavailable = Load(directory);
        if (Unavailable is null)
            Log.Loaded(logger, Version!, directory);
        else
            Log.NotLoaded(logger, Unavailable);
    }

    /// <summary>Null when models can be loaded; else why not, for a person.</summary>
    public string? Unavailable { get; }

    /// <summary>The library's own version; null while it is unavailable.</summary>
    public string? Version { get; private set; }

    /// <summary>Processors and GPUs the libraries can use, with their free memory now.</summary>
    public IReadOnlyList<NativeDevice> Devices => Unavailable is null ? ReadDevices() : [];

    private string? Load(string directory)
    {
        foreach (var file in (string[])[LlamaFile, GgmlFile, GgmlBaseFile])
        {
            if (!File.Exists(Path.Combine(directory, file)))
                return $"The llama.cpp {PinnedVersion} libraries are not installed ({file} is not in {directory}); ./fleet up installs them.";
        }

        lock (Loading)
        {
            if (_directory is not null && _directory != directory)
                return $"llama.cpp is already loaded from {_directory}.";

            try
            {
                if (_directory is null)
                    LoadOnce(directory);
                Version = ReadVersion();
                LlamaLog.SendTo(_logger);
            }
            catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException or LlamaException)
            {
                Log.LoadFailed(_logger, exception, directory);
                return $"The llama.cpp libraries in {directory} cannot be used: {exception.Message}";
            }

            return null;
        }
    }

    private void LoadOnce(string directory)
    {
        NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, (name, _, _) => name switch
        {
            LlamaNative.Llama => NativeLibrary.Load(Path.Combine(directory, LlamaFile)),
            LlamaNative.Ggml => NativeLibrary.Load(Path.Combine(directory, GgmlFile)),
            LlamaNative.GgmlBase => NativeLibrary.Load(Path.Combine(directory, GgmlBaseFile)),
            Shim.ShimNative.Library => Shim.ChatShim.Resolve(),
            _ => 0,
        });
        _directory = directory;

        var version = ReadVersion();
        if (!version.StartsWith(PinnedVersion, StringComparison.Ordinal))
            throw new LlamaException($"version {version} is not {PinnedVersion}.");

        LlamaLog.SendTo(_logger);
        LlamaNative.llama_backend_init();

        // An explicit directory: the default is the folder of the dotnet executable. Failures are silent, so count afterwards.
        LlamaNative.ggml_backend_load_all_from_path(directory);
        if (LlamaNative.ggml_backend_dev_count() == 0)
            throw new LlamaException("no backend for this processor was found beside them.");
    }

    private static unsafe string ReadVersion() => Marshal.PtrToStringUTF8((nint)LlamaNative.llama_version()) ?? "";

    private static unsafe List<NativeDevice> ReadDevices()
    {
        var devices = new List<NativeDevice>();
        for (nuint i = 0; i < LlamaNative.ggml_backend_dev_count(); i++)
        {
            ggml_backend_dev_props props = default;
            LlamaNative.ggml_backend_dev_get_props(LlamaNative.ggml_backend_dev_get(i), &props);
            devices.Add(new NativeDevice(
                Marshal.PtrToStringUTF8((nint)props.name) ?? "", Marshal.PtrToStringUTF8((nint)props.description) ?? "",
                (long)props.memory_free, (long)props.memory_total, props.type == GpuDevice));
        }

        return devices;
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "llama.cpp {Version} loaded from {Directory}")]
        public static partial void Loaded(ILogger logger, string version, string directory);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Only the built-in engines work: {Reason}")]
        public static partial void NotLoaded(ILogger logger, string reason);

        [LoggerMessage(Level = LogLevel.Error, Message = "The libraries in {Directory} were found but cannot be used")]
        public static partial void LoadFailed(ILogger logger, Exception exception, string directory);
    }
}
