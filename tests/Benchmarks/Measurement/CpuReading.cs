using System.Globalization;

namespace Fleet.Benchmarks.Measurement;

/// <summary>Processor time so far, in seconds: of the whole machine, and of the processes that take part.</summary>
/// <param name="At">When it was read, in seconds of any monotonic clock.</param>
internal readonly record struct CpuReading(double Machine, double Ours, double At)
{
    // USER_HZ, the unit of /proc; 100 on every Linux that .NET runs on.
    private const double TicksPerSecond = 100;

    /// <summary>How many cores others kept busy between two readings; never negative, although the two counters tick apart.</summary>
    public static double OtherCores(CpuReading before, CpuReading after) =>
        Math.Max(0, (after.Machine - before.Machine - (after.Ours - before.Ours)) / (after.At - before.At));

    /// <summary>Busy seconds from the first line of <c>/proc/stat</c>: all but idle and waiting for disks (proc(5)).</summary>
    public static double ParseMachine(string line)
    {
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(field => long.Parse(field, CultureInfo.InvariantCulture)).ToArray();
        const int Idle = 3;
        const int WaitingForDisk = 4;
        // The two after steal are guests' time, which user time holds already.
        const int Counted = 8;
        return fields.Take(Counted).Where((_, i) => i is not (Idle or WaitingForDisk)).Sum() / TicksPerSecond;
    }

    /// <summary>Seconds a process used, from its <c>/proc/…/stat</c>, and those of children that have ended when asked for.</summary>
    public static double ParseProcess(string stat, bool withChildren = false)
    {
        // After the program's name, which may hold spaces: fields 3 and on.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        const int UserTime = 11;
        var counted = withChildren ? 4 : 2;
        return fields.Skip(UserTime).Take(counted).Sum(field => long.Parse(field, CultureInfo.InvariantCulture)) / TicksPerSecond;
    }
}
