using System.Text;

namespace Fleet.Cli.Running;

/// <summary>The end of a log file, and what is added to it.</summary>
internal static class LogTail
{
    // Enough for any sensible -n without reading a log of gigabytes from its beginning.
    private const int MaxBytes = 4 * 1024 * 1024;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    public static IReadOnlyList<string> Last(string file, int lines)
    {
        using var stream = Open(file);
        stream.Seek(-Math.Min(stream.Length, MaxBytes), SeekOrigin.End);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(lines)];
    }

    /// <summary>Writes everything from now on until cancelled; starts again at the top when the file was rolled over.</summary>
    public static async Task FollowAsync(string file, TextWriter output, CancellationToken cancellationToken)
    {
        var position = new FileInfo(file).Length;
        while (true)
        {
            var length = File.Exists(file) ? new FileInfo(file).Length : 0;
            if (length < position)
                position = 0;
            if (length > position)
            {
                using var stream = Open(file);
                stream.Seek(position, SeekOrigin.Begin);
                using var reader = new StreamReader(stream, Encoding.UTF8);
                await output.WriteAsync(await reader.ReadToEndAsync(cancellationToken));
                position = stream.Position;
            }

            await Task.Delay(Poll, cancellationToken);
        }
    }

    private static FileStream Open(string file) => new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
}
