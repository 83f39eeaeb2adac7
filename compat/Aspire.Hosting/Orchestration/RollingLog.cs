using System.Text;

namespace Aspire.Hosting.Orchestration;

/// <summary>One resource's output: appended across restarts and runs, rotated by size, the newest three old files kept.</summary>
internal sealed class RollingLog(string path, long maxBytes = RollingLog.DefaultMaxBytes, int keep = 3) : IDisposable
{
    public const long DefaultMaxBytes = 20 * 1024 * 1024;
    private readonly Lock _gate = new();
    private FileStream? _stream;

    public string Path { get; } = path;

    public void WriteLine(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        lock (_gate)
        {
            _stream ??= Open();
            if (_stream.Length > 0 && _stream.Length + bytes.Length > maxBytes)
                Rotate();
            _stream.Write(bytes);
            _stream.Flush();
        }
    }

    /// <summary>Copies a process's output line by line until it ends.</summary>
    public async Task CopyFromAsync(StreamReader reader)
    {
        try
        {
            while (await reader.ReadLineAsync() is { } line)
                WriteLine(line);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // The process is gone and its pipe with it.
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stream?.Dispose();
            _stream = null;
        }
    }

    private FileStream Open() => new(Path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);

    private void Rotate()
    {
        _stream!.Dispose();
        for (var index = keep; index >= 1; index--)
        {
            var source = index == 1 ? Path : $"{Path}.{index - 1}";
            if (File.Exists(source))
                File.Move(source, $"{Path}.{index}", overwrite: true);
        }

        _stream = Open();
    }
}
