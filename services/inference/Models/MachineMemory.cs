using System.Globalization;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

internal readonly record struct GpuMemory(string Name, long FreeBytes, long TotalBytes);

/// <param name="AvailableBytes">What could be allocated now without pushing anything else out.</param>
/// <param name="CapacityBytes">What this process may use at most, whatever runs beside it.</param>
internal sealed record MachineState(long AvailableBytes, long CapacityBytes, IReadOnlyList<GpuMemory> Gpus);

/// <summary>
/// The memory of this machine at this moment: the kernel's own estimate of what is available, bounded by every control group the process is in
/// (a container's limit), and the GPUs that the libraries can use.
/// </summary>
internal sealed class MachineMemory(Func<IReadOnlyList<NativeDevice>> devices, string root = "/")
{
    public MachineMemory(NativeLibraries native)
        : this(() => native.Devices)
    {
    }

    public MachineState Read()
    {
        var (available, capacity) = ReadKernel();
        foreach (var (limit, used) in ReadControlGroups())
        {
            capacity = Math.Min(capacity, limit);
            available = Math.Min(available, Math.Max(0, limit - used));
        }

        return new MachineState(available, capacity, [.. devices().Where(device => device.IsGpu).Select(device => new GpuMemory(device.Name, device.MemoryFreeBytes, device.MemoryTotalBytes))]);
    }

    private (long Available, long Capacity) ReadKernel()
    {
        long? available = null, capacity = null;
        foreach (var line in Lines("proc/meminfo"))
        {
            // "MemAvailable:   23163000 kB"
            if (line.StartsWith("MemAvailable:", StringComparison.Ordinal))
                available = Kilobytes(line);
            else if (line.StartsWith("MemTotal:", StringComparison.Ordinal))
                capacity = Kilobytes(line);
        }

        var runtime = GC.GetGCMemoryInfo();
        capacity ??= runtime.TotalAvailableMemoryBytes;
        return (available ?? Math.Max(0, capacity.Value - runtime.MemoryLoadBytes), capacity.Value);
    }

    /// <summary>Limit and use of each version 2 group from the process's own up to the root; none where there are no limits.</summary>
    private List<(long Limit, long Used)> ReadControlGroups()
    {
        var groups = new List<(long, long)>();
        var own = Lines("proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::/", StringComparison.Ordinal))?[4..];
        while (own is not null)
        {
            var folder = Path.Combine("sys/fs/cgroup", own);
            if (Number(Path.Combine(folder, "memory.max")) is { } limit && Number(Path.Combine(folder, "memory.current")) is { } used)
            {
                // Cached files count as used, but the kernel takes them back before it refuses memory.
                var cached = Lines(Path.Combine(folder, "memory.stat")).Where(line => line.StartsWith("inactive_file ", StringComparison.Ordinal) || line.StartsWith("active_file ", StringComparison.Ordinal))
                    .Sum(line => long.TryParse(line.AsSpan(line.IndexOf(' ') + 1), out var bytes) ? bytes : 0);
                groups.Add((limit, Math.Max(0, used - cached)));
            }

            own = own.Length == 0 ? null : Path.GetDirectoryName(own) ?? "";
        }

        return groups;
    }

    private long? Number(string path) => Lines(path).FirstOrDefault() is { } line && long.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;

    private string[] Lines(string path)
    {
        try
        {
            return File.ReadAllLines(Path.Combine(root, path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static long? Kilobytes(string line) =>
        line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var number, ..] && long.TryParse(number, out var kilobytes) ? kilobytes * 1024 : null;
}
