using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Native;

/// <summary>Where llama.cpp's libraries lie.</summary>
internal sealed class NativeOptions
{
    public const string SectionName = "Inference";

    /// <summary>Folder of the pinned libraries. Default: fleet/llama.cpp/linux-x64-3.22.1 in the user's cache. Absent: only the built-in engines work.</summary>
    [Required]
    public string NativeLibraryDirectory { get; set; } = Path.Combine(CacheDirectory(), "fleet", "llama.cpp", "linux-x64-3.22.1");

    /// <summary>The compiled chat shim. Default: the one ./fleet compiled beside the libraries for this build. Absent: no tools, reasoning or JSON Schema.</summary>
    public string ShimFile { get; set; } = "";

    private static string CacheDirectory() => Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } configured
        ? configured
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
}

[OptionsValidator]
internal sealed partial class NativeOptionsValidator : IValidateOptions<NativeOptions>;
