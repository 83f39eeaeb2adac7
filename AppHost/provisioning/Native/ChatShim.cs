using System.Security.Cryptography;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>
/// Fleet's C interface to llama.cpp's C++ chat library, compiled once per machine against the headers of the pinned release and put beside
/// its libraries. The file's name holds a hash of its source: the inference service carries the same source and so finds the file, and clones
/// of different age do not disturb each other.
/// </summary>
public sealed class ChatShim
{
    // llama.cpp's own release, as its file names have it; the service refuses a shim that says another.
    private const string Release = "0.5.0";

    private static readonly byte[] Source = ReadSource();

    private readonly NativeLibraries _libraries;
    private readonly LlamaSource _headers;
    private readonly string _compiler;
    private readonly string _lock;

    public ChatShim(string cacheDirectory)
        : this(cacheDirectory, "g++")
    {
    }

    internal ChatShim(string cacheDirectory, string compiler)
    {
        _libraries = new NativeLibraries(cacheDirectory);
        _headers = new LlamaSource(cacheDirectory);
        _compiler = compiler;
        _lock = Path.Combine(cacheDirectory, "llama.cpp", "shim.lock");
    }

    /// <summary>For instance <c>~/.cache/fleet/llama.cpp/linux-x64-3.22.1/libfleet-shim-0123456789ab.so</c>; complete when it exists.</summary>
    public string FileFor(string flavour) =>
        Path.Combine(_libraries.DirectoryFor(flavour), $"libfleet-shim-{Convert.ToHexStringLower(SHA256.HashData(Source))[..12]}.so");

    /// <summary>Compiles it when it is not there yet. The libraries must have been fetched.</summary>
    /// <exception cref="ProvisioningException">There is no compiler and none can be installed, or it refused; the message says which.</exception>
    public async Task<string> EnsureAsync(string flavour, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var file = FileFor(flavour);
        if (File.Exists(file))
            return file;
        using var held = await FileLock.AcquireAsync(
            _lock, () => progress.Report("Another run is compiling the chat shim; waiting for it"), cancellationToken);
        if (File.Exists(file))
            return file;

        await BuildTools.EnsureAsync([_compiler], progress, cancellationToken);
        var headers = await _headers.EnsureAsync(progress, cancellationToken);
        progress.Report("Compiling the chat shim");
        // Beside the destination: the last step is a rename within one file system, so a killed run leaves nothing that looks complete.
        var work = file + ".partial";
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        Directory.CreateDirectory(work);
        try
        {
            var built = await CompileAsync(work, headers, Path.GetDirectoryName(file)!, cancellationToken);
            File.Move(built, file, overwrite: true);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }

        return file;
    }

    /// <summary>As <see cref="EnsureAsync"/>, but a machine without a compiler is no failure: null, and why was reported.</summary>
    public async Task<string?> TryEnsureAsync(string flavour, IProgress<string> progress, CancellationToken cancellationToken)
    {
        try
        {
            return await EnsureAsync(flavour, progress, cancellationToken);
        }
        catch (ProvisioningException exception)
        {
            progress.Report($"Going on without the chat shim (no tools, reasoning or JSON Schema with local models). {exception.Message}");
            return null;
        }
    }

    private async Task<string> CompileAsync(string work, string headers, string libraries, CancellationToken cancellationToken)
    {
        var source = Path.Combine(work, "fleet_shim.cpp");
        var output = Path.Combine(work, "libfleet-shim.so");
        await File.WriteAllBytesAsync(source, Source, cancellationToken);
        string[] arguments =
        [
            "-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", $"-DFLEET_LLAMA_RELEASE=\"{Release}\"",
            "-I" + Path.Combine(headers, "include"), "-I" + Path.Combine(headers, "common"), "-I" + Path.Combine(headers, "ggml", "include"),
            source, "-o", output,
            // A symbol the libraries lack is an error now, not at the first request. At run time they are found beside the shim.
            "-L" + libraries, "-l:libllama-common.so", $"-l:libllama.v{Release}.so", "-Wl,-z,defs", "-Wl,-rpath,$ORIGIN", "-Wl,--as-needed",
        ];
        try
        {
            var result = await Tool.RunAsync(_compiler, arguments, cancellationToken, work);
            return result.Succeeded && File.Exists(output)
                ? output
                : throw new ProvisioningException($"{_compiler} could not compile the chat shim:\n{result.Tail()}");
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new ProvisioningException($"{_compiler} cannot be run: {exception.Message}", exception);
        }
    }

    private static byte[] ReadSource()
    {
        using var stream = typeof(ChatShim).Assembly.GetManifestResourceStream("fleet_shim.cpp")!;
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
