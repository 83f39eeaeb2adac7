using System.Text.Json;

namespace Fleet.Provisioning;

/// <summary>Whole-file writes that a reader, or a kill in the middle, never sees half of.</summary>
public static class AtomicFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <param name="path">The file to replace.</param>
    /// <param name="content">Its whole new content.</param>
    /// <param name="secret">Readable by its owner only (mode 600) from the first byte on.</param>
    public static void Write(string path, string content, bool secret = false)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (secret && !OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        using (var writer = new StreamWriter(temporary, options))
            writer.Write(content);
        File.Move(temporary, path, overwrite: true);
    }

    public static void WriteJson<T>(string path, T value, bool secret = false) =>
        Write(path, JsonSerializer.Serialize(value, Json), secret);

    /// <summary>Null when the file is absent or is not what it should be: every such file can be made again.</summary>
    public static T? ReadJson<T>(string path)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllText(path), Json);
        }
        catch (Exception exception) when (exception is IOException or JsonException)
        {
            return null;
        }
    }
}
