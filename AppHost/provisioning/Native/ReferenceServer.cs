using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>
/// llama.cpp's own programs, compiled for this machine from the source of the release whose libraries Fleet uses: what Fleet is measured
/// against. Made once per machine; its name holds a hash of the recipe, so that another recipe is another folder.
/// </summary>
public sealed partial class ReferenceServer
{
    private static readonly string[] Programs = ["llama-server", "llama-batched-bench", "llama-quantize", "llama-completion"];

    // As people build it for their own machine: native instructions, OpenMP when the compiler has it. Nothing is fetched while building.
    private static readonly string[] Options =
    [
        "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_TOOLS=ON",
        "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF",
        // The programs find their libraries beside themselves, wherever the folder is moved to.
        "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON",
    ];

    private ReferenceServer(string directory) => Directory = directory;

    /// <summary>The folder with the programs and their libraries.</summary>
    public string Directory { get; }

    public string Server => Path.Combine(Directory, "llama-server");

    public string BatchedBench => Path.Combine(Directory, "llama-batched-bench");

    public string Quantize => Path.Combine(Directory, "llama-quantize");

    public string Completion => Path.Combine(Directory, "llama-completion");

    /// <summary>Where <see cref="EnsureAsync"/> builds; for instance <c>~/.cache/fleet/llama.cpp/reference-0c1f…</c>.</summary>
    public static string DirectoryIn(string cacheDirectory) => Path.Combine(cacheDirectory, "llama.cpp", $"reference-{Recipe()}");

    /// <summary>Programs built elsewhere, from the same source; the caller vouches for that.</summary>
    /// <exception cref="ProvisioningException">One of the programs is not in the folder.</exception>
    public static ReferenceServer At(string directory)
    {
        var missing = Programs.Where(program => !File.Exists(Path.Combine(directory, program))).ToList();
        return missing.Count == 0
            ? new ReferenceServer(Path.GetFullPath(directory))
            : throw new ProvisioningException($"{directory} lacks {string.Join(", ", missing)}.");
    }

    /// <summary>Builds what is not there yet. A build that was killed is taken up where it ended.</summary>
    public static async Task<ReferenceServer> EnsureAsync(string cacheDirectory, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var directory = DirectoryIn(cacheDirectory);
        if (System.IO.Directory.Exists(directory))
            return At(directory);
        using var held = await FileLock.AcquireAsync(
            Path.Combine(cacheDirectory, "llama.cpp", "reference.lock"),
            () => progress.Report("Another run is building llama.cpp's server; waiting for it"),
            cancellationToken);
        if (System.IO.Directory.Exists(directory))
            return At(directory);

        var source = await new LlamaSource(cacheDirectory).EnsureAsync(progress, cancellationToken);
        await BuildTools.EnsureAsync(["cmake", "make", "g++"], progress, cancellationToken);
        progress.Report("Building llama.cpp's server (once per machine, 2 to 5 minutes)");
        var build = directory + ".partial";
        await RunAsync("cmake", ["-S", source, "-B", build, "-G", "Unix Makefiles", .. Options], progress, cancellationToken);
        await RunAsync(
            "cmake", ["--build", build, "--parallel", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture), "--target", .. Programs],
            progress, cancellationToken);

        var finished = build + ".bin";
        if (System.IO.Directory.Exists(finished))
            System.IO.Directory.Delete(finished, recursive: true);
        await RunAsync("cp", ["-a", Path.Combine(build, "bin"), finished], progress, cancellationToken);
        _ = At(finished);
        System.IO.Directory.Move(finished, directory);
        System.IO.Directory.Delete(build, recursive: true);
        return At(directory);
    }

    private static async Task RunAsync(string program, IEnumerable<string> arguments, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var tenth = -1;
        var result = await Tool.RunAsync(program, arguments, cancellationToken, onLine: line =>
        {
            // make's "[ 37%] Building CXX object ...": a line per tenth is enough.
            if (PercentPattern().Match(line) is not { Success: true } match || int.Parse(match.Groups["percent"].ValueSpan, CultureInfo.InvariantCulture) is var percent && percent / 10 <= tenth)
                return;
            tenth = percent / 10;
            progress.Report($"Building llama.cpp's server: {percent} %");
        });
        if (!result.Succeeded)
            throw new ProvisioningException($"{program} failed with exit code {result.ExitCode}:\n{result.Tail()}");
    }

    private static string Recipe() => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes($"{PinnedPackages.Find("source").Integrity}|{string.Join(' ', Options)}|{string.Join(' ', Programs)}")))[..12];

    [GeneratedRegex(@"^\[\s*(?<percent>\d+)%\]")]
    private static partial Regex PercentPattern();
}
