using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Fleet.Inference.Models.Downloads;

/// <summary>What is needed to go on with a download after a restart.</summary>
/// <param name="Version">The server's strong entity tag of what has arrived; null when it gave none.</param>
/// <param name="Error">Why it ended; null while it is to be continued.</param>
internal sealed record DownloadManifest(Uri Address, string FileName, string? Sha256, DateTimeOffset CreatedAt, string? Version, long? TotalBytes, string? Error);

/// <summary>
/// Unfinished downloads on the disk, beside the models and on the same file system: a manifest and what has arrived. A model appears in the models
/// directory whole or not at all.
/// </summary>
internal sealed class DownloadFolder(string modelsDirectory, Func<string, long>? freeBytes = null)
{
    private const string Folder = ".downloads";

    private readonly string _folder = Path.Combine(modelsDirectory, Folder);

    /// <summary>The same file from the same place is the same download.</summary>
    public static string IdOf(Uri address, string fileName) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{address.AbsoluteUri}\n{fileName}")).AsSpan(0, 8));

    public string PartOf(string id) => Path.Combine(_folder, id + ".part");

    public string TargetOf(string fileName) => Path.Combine(modelsDirectory, fileName);

    public long Arrived(string id) => new FileInfo(PartOf(id)) is { Exists: true } part ? part.Length : 0;

    public IReadOnlyList<(string Id, DownloadManifest Manifest)> List()
    {
        var found = new List<(string, DownloadManifest)>();
        if (!Directory.Exists(_folder))
            return found;
        foreach (var file in Directory.EnumerateFiles(_folder, "*.json"))
        {
            try
            {
                if (JsonSerializer.Deserialize<DownloadManifest>(File.ReadAllText(file)) is { Address: not null, FileName: not null } manifest)
                    found.Add((Path.GetFileNameWithoutExtension(file), manifest));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
            {
                // Torn by a crash: without its address nothing can be continued.
            }
        }

        return found;
    }

    public void Save(string id, DownloadManifest manifest)
    {
        Directory.CreateDirectory(_folder);
        var file = Path.Combine(_folder, id + ".json");
        File.WriteAllText(file + ".new", JsonSerializer.Serialize(manifest));
        File.Move(file + ".new", file, overwrite: true);
    }

    public void Discard(string id) => File.Delete(PartOf(id));

    public void Forget(string id)
    {
        Discard(id);
        File.Delete(Path.Combine(_folder, id + ".json"));
    }

    /// <exception cref="DownloadException">A model of that name appeared meanwhile.</exception>
    public void Install(string id, string fileName)
    {
        try
        {
            File.Move(PartOf(id), TargetOf(fileName));
        }
        catch (IOException exception) when (File.Exists(TargetOf(fileName)))
        {
            throw new DownloadException($"{fileName} is there already.", exception);
        }

        File.Delete(Path.Combine(_folder, id + ".json"));
    }

    /// <summary>What the disk has left for this user.</summary>
    public long FreeBytes()
    {
        if (freeBytes is not null)
            return freeBytes(modelsDirectory);
        Directory.CreateDirectory(_folder);
        return new DriveInfo(_folder).AvailableFreeSpace;
    }
}
