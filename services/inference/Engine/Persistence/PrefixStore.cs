using System.Security.Cryptography;
using System.Threading.Channels;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Persistence;

/// <summary>
/// A folder of saved prefixes, shared by all engines of the process. Files are private to the service's user, appear whole or not at all,
/// and are removed least recently used first when they take too much room; one that is broken or not ours is removed when it is met.
/// Writing happens on a thread of the pool, one file at a time. Thread-safe.
/// </summary>
internal sealed partial class PrefixStore : IAsyncDisposable
{
    // What waits to be written is in memory; more than a few would be a lot of it.
    private const int MostWaiting = 4;

    private readonly string _directory;
    private readonly long _maxBytes;
    private readonly ILogger<PrefixStore> _logger;
    private readonly Channel<StoredPrefix> _writes = Channel.CreateBounded<StoredPrefix>(MostWaiting);
    private readonly Task _writing;

    public PrefixStore(IOptions<EngineOptions> options, ILogger<PrefixStore> logger)
    {
        (_directory, _maxBytes, _logger) = (options.Value.PrefixDirectory, options.Value.PrefixDirectoryBytes, logger);
        if (Enabled)
            CreatePrivate(_directory);
        _writing = Task.Run(WriteAllAsync);
    }

    /// <summary>Whether there is a folder to save to.</summary>
    public bool Enabled => _directory.Length > 0;

    /// <summary>Names a model file's contents without reading all of it: its length, its time and its first bytes.</summary>
    public static string IdentityOf(string modelPath)
    {
        var file = new FileInfo(modelPath);
        using var stream = file.OpenRead();
        var start = new byte[(int)Math.Min(file.Length, 256 * 1024)];
        stream.ReadExactly(start);
        return $"{file.Length}-{file.LastWriteTimeUtc.Ticks}-{Convert.ToHexStringLower(SHA256.HashData(start))}";
    }

    /// <summary>False when too many are being written already; it can be offered again later.</summary>
    public bool TrySave(StoredPrefix prefix) => Enabled && prefix.Size <= _maxBytes && _writes.Writer.TryWrite(prefix);

    /// <summary>A saved prefix was of use again. False when it is not there.</summary>
    public bool Touch(string fileName)
    {
        try
        {
            var path = Path.Combine(_directory, fileName);
            if (!File.Exists(path))
                return false;
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>What was saved under this identity, the last used first. Broken files are removed; other engines' files stay.</summary>
    public IEnumerable<StoredPrefix> Load(string identity)
    {
        foreach (var file in Files().OrderByDescending(file => file.LastWriteTimeUtc))
        {
            StoredPrefix? prefix;
            try
            {
                prefix = file.Length <= _maxBytes + (16 << 20) ? StoredPrefix.Read(File.ReadAllBytes(file.FullName)) : null;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                continue;
            }

            if (prefix is null || prefix.FileName != file.Name)
            {
                Log.Broken(_logger, file.Name);
                Remove(file.Name);
                continue;
            }

            if (prefix.Identity == identity)
                yield return prefix;
        }
    }

    public void Remove(string fileName)
    {
        try
        {
            File.Delete(Path.Combine(_directory, fileName));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.NotWritten(_logger, exception, fileName);
        }
    }

    /// <summary>Writes what waits, and then no more.</summary>
    public async ValueTask DisposeAsync()
    {
        _writes.Writer.TryComplete();
        await _writing;
    }

    private async Task WriteAllAsync()
    {
        await foreach (var prefix in _writes.Reader.ReadAllAsync())
        {
            try
            {
                Write(prefix);
                Trim();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Log.NotWritten(_logger, exception, prefix.FileName);
            }
        }
    }

    private void Write(StoredPrefix prefix)
    {
        var name = prefix.FileName;
        var temporary = Path.Combine(_directory, $"{name}.{Environment.ProcessId}.tmp");
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var stream = new FileStream(temporary, options))
            {
                prefix.WriteTo(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, Path.Combine(_directory, name), overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private void Trim()
    {
        var files = Files().OrderByDescending(file => file.LastWriteTimeUtc).ToList();
        var total = 0L;
        foreach (var file in files)
        {
            total += file.Length;
            if (total > _maxBytes)
                file.Delete();
        }

        // What a process that was killed has left.
        foreach (var left in new DirectoryInfo(_directory).EnumerateFiles("*.tmp"))
        {
            if (DateTime.UtcNow - left.LastWriteTimeUtc > TimeSpan.FromHours(1))
                left.Delete();
        }
    }

    private IEnumerable<FileInfo> Files() => !Enabled ? [] : new DirectoryInfo(_directory).EnumerateFiles("*" + StoredPrefix.Extension);

    private static void CreatePrivate(string directory)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(directory);
        else
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The saved prefix {File} is broken and was removed")]
        public static partial void Broken(ILogger logger, string file);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The prefix {File} could not be saved")]
        public static partial void NotWritten(ILogger logger, Exception exception, string file);
    }
}
