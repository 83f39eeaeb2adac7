namespace Fleet.Cli.Models;

/// <summary>The folder that the inference service reads its models from. A file appears in it whole or not at all.</summary>
internal sealed class ModelFolder(string path)
{
    private const string Extension = ".gguf";
    private static readonly byte[] Magic = [.. "GGUF"u8];

    public string Path { get; } = path;

    public IReadOnlyList<FileInfo> List() => Directory.Exists(Path)
        ? [.. new DirectoryInfo(Path).GetFiles("*" + Extension).OrderBy(file => file.Name, StringComparer.Ordinal)]
        : [];

    public async Task<FileInfo> AddAsync(FileInfo source, CancellationToken cancellationToken)
    {
        if (!source.Exists)
            throw new CommandException($"There is no file {source.FullName}.");
        CheckMagic(source.FullName);
        var target = TargetOf(source.Name);
        CheckSpace(source.Length);
        var part = target + ".part";
        try
        {
            await using (var from = source.OpenRead())
            await using (var to = File.Create(part))
                await from.CopyToAsync(to, cancellationToken);
            File.Move(part, target);
        }
        catch
        {
            File.Delete(part);
            throw;
        }

        return new FileInfo(target);
    }

    public void Remove(string name)
    {
        var file = List().FirstOrDefault(candidate => candidate.Name == name || candidate.Name == name + Extension)
            ?? throw new CommandException($"There is no model {name}. See ./fleet models list");
        file.Delete();
    }

    /// <summary>Where a new model of that name goes; refuses one that is there already and anything that is not a plain name.</summary>
    public string TargetOf(string name)
    {
        if (System.IO.Path.GetFileName(name) != name || !name.EndsWith(Extension, StringComparison.Ordinal) || name.StartsWith('.'))
            throw new CommandException($"{name} is not the name of a GGUF file.");
        var target = System.IO.Path.Combine(Path, name);
        if (File.Exists(target))
            throw new CommandException($"{name} is there already. Remove it first: ./fleet models rm {name}");
        Directory.CreateDirectory(Path);
        return target;
    }

    public void CheckSpace(long bytes)
    {
        // A fleet whose disk is full loses more than a model.
        const long Reserve = 1L << 30;
        var free = new DriveInfo(Path).AvailableFreeSpace;
        if (free < bytes + Reserve)
            throw new CommandException($"Not enough space: {bytes >> 20} MiB and a reserve of 1 GiB are needed, {free >> 20} MiB are free.");
    }

    public static void CheckMagic(string file)
    {
        var start = new byte[Magic.Length];
        using var stream = File.OpenRead(file);
        if (stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) < start.Length || !start.AsSpan().SequenceEqual(Magic))
            throw new CommandException($"{System.IO.Path.GetFileName(file)} is not a GGUF file.");
    }
}
