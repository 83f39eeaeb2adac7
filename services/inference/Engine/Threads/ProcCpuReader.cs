using System.Buffers.Text;
using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Engine.Threads;

/// <summary>
/// Reads Linux's /proc: /proc/stat for the processors in this process's mask, and the cgroup's quota
/// once. The files stay open and are read anew from their start; a reading costs some tens of microseconds. One thread at a time.
/// </summary>
internal sealed class ProcCpuReader(TimeProvider time) : ICpuReader, IDisposable
{
    // The kernel's unit in /proc/stat, whatever its own tick is.
    private const int TicksPerSecond = 100;

    // The processors' lines come first; 256 of them fit.
    private readonly byte[] _buffer = new byte[32 * 1024];
    private readonly long _start = time.GetTimestamp();
    private readonly SafeFileHandle? _stat = TryOpen("/proc/stat");
    private readonly HashSet<int>? _allowed = AllowedProcessors();

    public double Cores { get; } = Math.Min(Environment.ProcessorCount, Quota() ?? double.MaxValue);

    public CpuReading? Read()
    {
        if (_stat is null)
            return null;

        try
        {
            var busy = Busy(Contents(_stat), _allowed);
            return busy is null ? null : new CpuReading(time.GetElapsedTime(_start), busy.Value, Environment.CpuUsage.TotalTime);
        }
        catch (IOException)
        {
            return null;
        }
    }

    public void Dispose() => _stat?.Dispose();

    /// <summary>Everything but idle and waiting for a disk, of the processors allowed (null = all). Guests' time is part of user time.</summary>
    internal static TimeSpan? Busy(ReadOnlySpan<byte> stat, HashSet<int>? allowed)
    {
        var ticks = 0L;
        var found = false;
        foreach (var range in stat.Split((byte)'\n'))
        {
            var line = stat[range];
            if (!line.StartsWith("cpu"u8))
                break;
            if (!Utf8Parser.TryParse(line[3..], out int processor, out var digits) || (allowed is not null && !allowed.Contains(processor)))
                continue;

            found = true;
            var field = 0;
            var rest = line[(3 + digits)..].TrimStart((byte)' ');
            while (field < 8 && Utf8Parser.TryParse(rest, out long value, out var length))
            {
                // user nice system idle iowait irq softirq steal
                if (field is not (3 or 4))
                    ticks += value;
                field++;
                rest = rest[length..].TrimStart((byte)' ');
            }
        }

        return found ? TimeSpan.FromSeconds((double)ticks / TicksPerSecond) : null;
    }

    /// <summary>"0-3,8" as a set.</summary>
    internal static HashSet<int>? ParseList(string list)
    {
        var processors = new HashSet<int>();
        foreach (var part in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var ends = part.Split('-');
            if (!int.TryParse(ends[0], CultureInfo.InvariantCulture, out var first) || !int.TryParse(ends[^1], CultureInfo.InvariantCulture, out var last) || last - first > 4096)
                return null;
            for (var processor = first; processor <= last; processor++)
                processors.Add(processor);
        }

        return processors.Count > 0 ? processors : null;
    }

    private static HashSet<int>? AllowedProcessors()
    {
        const string Field = "Cpus_allowed_list:";
        try
        {
            return File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal)) is { } line ? ParseList(line[Field.Length..]) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Version 2, then version 1; a container sees its own group at the root.
    private static double? Quota()
    {
        if (Words("/sys/fs/cgroup/cpu.max") is [var max, var per] && double.TryParse(max, CultureInfo.InvariantCulture, out var quota) && double.TryParse(per, CultureInfo.InvariantCulture, out var period) && period > 0)
            return quota / period;
        if (Words("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") is [var limit] && double.TryParse(limit, CultureInfo.InvariantCulture, out quota) && quota > 0
            && Words("/sys/fs/cgroup/cpu/cpu.cfs_period_us") is [var span] && double.TryParse(span, CultureInfo.InvariantCulture, out period) && period > 0)
            return quota / period;
        return null;
    }

    private static string[] Words(string path)
    {
        try
        {
            return File.ReadAllText(path).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static SafeFileHandle? TryOpen(string path)
    {
        try
        {
            return File.OpenHandle(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private ReadOnlySpan<byte> Contents(SafeFileHandle file) => _buffer.AsSpan(0, RandomAccess.Read(file, _buffer, 0));
}
