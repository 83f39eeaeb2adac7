using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>The npm packages of one llama.cpp release, with the hashes they must have (<c>native-libraries.json</c>).</summary>
internal static class PinnedPackages
{
    private static readonly Manifest Pinned = Load();

    public static string Version => Pinned.Version;

    public static PinnedPackage Find(string flavour) => Pinned.Packages.SingleOrDefault(candidate => candidate.Flavour == flavour)
        ?? throw new ProvisioningException($"native-libraries.json has no entry for {flavour}.");

    private static Manifest Load()
    {
        using var stream = typeof(PinnedPackages).Assembly.GetManifestResourceStream("native-libraries.json")!;
        return JsonSerializer.Deserialize<Manifest>(stream, JsonSerializerOptions.Web)!;
    }

    private sealed record Manifest(string Version, PinnedPackage[] Packages);
}

/// <param name="Integrity">npm's own notation: <c>sha512-</c> and base 64.</param>
internal sealed record PinnedPackage(string Flavour, [property: JsonPropertyName("package")] string Name, string Integrity)
{
    /// <summary>Downloads into an empty folder and returns the archive, once its hash is the pinned one.</summary>
    public async Task<string> FetchAsync(string directory, CancellationToken cancellationToken)
    {
        var npm = Tool.Find("npm") ?? throw new ProvisioningException("npm is not installed; it comes with Node.js 20 or newer.");
        var result = await Tool.RunAsync(
            npm, ["pack", $"{Name}@{PinnedPackages.Version}", "--silent", "--pack-destination", directory], cancellationToken, directory);
        if (!result.Succeeded || Directory.GetFiles(directory, "*.tgz") is not [var archive])
            throw new ProvisioningException($"npm could not fetch {Name} {PinnedPackages.Version}:\n{result.Tail()}");
        await VerifyAsync(archive, Integrity, cancellationToken);
        return archive;
    }

    internal static async Task VerifyAsync(string archive, string integrity, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        var actual = "sha512-" + Convert.ToBase64String(await SHA512.HashDataAsync(file, cancellationToken));
        if (actual != integrity)
            throw new ProvisioningException($"{Path.GetFileName(archive)} is not the pinned package: its hash is {actual}, expected {integrity}.");
    }
}
