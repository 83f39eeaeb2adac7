using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Native.Shim;

/// <summary>
/// The compiled fleet_shim.cpp, loaded once per process from beside the libraries. Without it models still answer, in the formats llama.cpp's C
/// functions know; <see cref="Unavailable"/> says why it is not there.
/// </summary>
internal sealed partial class ChatShim
{
    // What this binding was written for; fleet_shim.cpp counts it up.
    private const int Interface = 1;

    private static readonly Lock Loading = new();
    private static nint _library;

    public ChatShim(NativeLibraries libraries, IOptions<NativeOptions> options, ILogger<ChatShim> logger)
    {
        Unavailable = libraries.Unavailable ?? Load(FileOf(options.Value));
        if (Unavailable is null)
            Log.Loaded(logger, NativeLibraries.PinnedVersion);
        else
            Log.NotLoaded(logger, Unavailable);
    }

    /// <summary>Null when templates, schemas and reply formats can be used; else why not, for a person.</summary>
    public string? Unavailable { get; }

    /// <summary>Where the shim of this build is looked for: its name holds the hash of the source this service was built with.</summary>
    public static string FileOf(NativeOptions options) => options.ShimFile.Length > 0
        ? Path.GetFullPath(options.ShimFile)
        : Path.Combine(Path.GetFullPath(options.NativeLibraryDirectory), $"libfleet-shim-{SourceHash()}.so");

    /// <summary>A JSON Schema to GBNF with a rule named root. Throws <see cref="LlamaException"/> with the converter's reason.</summary>
    public static unsafe string SchemaToGrammar(string schema)
    {
        var utf8 = Encoding.UTF8.GetBytes(schema);
        byte* text;
        long length;
        int status;
        fixed (byte* bytes = utf8)
            status = ShimNative.fleet_shim_schema_to_grammar(bytes, utf8.Length, &text, &length);
        return ShimText.Take(status, text, length);
    }

    /// <summary>Called by the assembly's one resolver.</summary>
    internal static nint Resolve() => _library;

    private static unsafe string? Load(string file)
    {
        if (!File.Exists(file))
            return $"The chat shim is not compiled ({file} is not there); ./fleet up does it, ./fleet doctor says what it needs.";

        lock (Loading)
        {
            // The first that fitted stays: one process, one shim.
            if (_library != 0)
                return null;
            try
            {
                if (WhyNot(file) is { } reason)
                    return $"{file} {reason}; remove it and run ./fleet up.";
                _library = NativeLibrary.Load(file);
                ShimNative.fleet_shim_silence();
                return null;
            }
            catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
            {
                return $"{file} cannot be used: {exception.Message}";
            }
        }
    }

    /// <summary>Why a file is not this binding's shim, or null. Asked of the file itself, before any function of it is bound for good.</summary>
    internal static unsafe string? WhyNot(string file)
    {
        var library = NativeLibrary.Load(file);
        var release = (delegate* unmanaged[Cdecl]<byte*>)NativeLibrary.GetExport(library, nameof(ShimNative.fleet_shim_release));
        var number = (delegate* unmanaged[Cdecl]<int>)NativeLibrary.GetExport(library, nameof(ShimNative.fleet_shim_interface));
        if (Marshal.PtrToStringUTF8((nint)release()) is var compiledFor && compiledFor != NativeLibraries.PinnedVersion)
            return $"was compiled for llama.cpp {compiledFor}, not {NativeLibraries.PinnedVersion}";
        return number() is var found && found != Interface ? $"has interface {found}, not {Interface}" : null;
    }

    private static string SourceHash()
    {
        using var source = typeof(ChatShim).Assembly.GetManifestResourceStream("fleet_shim.cpp")!;
        return Convert.ToHexStringLower(SHA256.HashData(source))[..12];
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "The chat shim for llama.cpp {Release} is loaded")]
        public static partial void Loaded(ILogger logger, string release);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Local models have no tools, reasoning or JSON Schema: {Reason}")]
        public static partial void NotLoaded(ILogger logger, string reason);
    }
}
