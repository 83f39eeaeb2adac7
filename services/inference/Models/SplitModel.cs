using System.Text.RegularExpressions;

namespace Fleet.Inference.Models;

/// <summary>Large models come in parts, "name-00001-of-00003.gguf"; the first stands for all, llama.cpp opens the others.</summary>
internal static partial class SplitModel
{
    public static bool IsLaterPart(string name) => Name().Match(name) is { Success: true } match && match.Groups[2].Value != "00001";

    /// <summary>The files beside a first part; none for a model in one file.</summary>
    public static IReadOnlyList<string> LaterParts(string path)
    {
        var match = Name().Match(Path.GetFileName(path));
        return match.Success && match.Groups[2].Value == "00001"
            ? [.. Directory.EnumerateFiles(Path.GetDirectoryName(path)!, $"{match.Groups[1].Value}-*-of-{match.Groups[3].Value}.gguf").Where(part => part != path).Order(StringComparer.Ordinal)]
            : [];
    }

    [GeneratedRegex(@"^(.+)-(\d{5})-of-(\d{5})\.gguf$")]
    private static partial Regex Name();
}
