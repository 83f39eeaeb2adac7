using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Fleet.Provisioning.Processes;

/// <summary>What the kernel knows about a process, and signals to it. Linux; elsewhere the runtime's own view is used.</summary>
public static partial class UnixProcess
{
    public const int SigInt = 2;
    public const int SigKill = 9;
    public const int SigTerm = 15;

    public static bool IsRoot => !OperatingSystem.IsWindows() && GetEffectiveUserId() == 0;

    /// <summary>False when the process no longer exists.</summary>
    public static bool Signal(int pid, int signal) => Kill(pid, signal) == 0;

    /// <summary>
    /// The kernel's start time of a process: with the pid it names one process for as long as the machine runs, because pids are reused
    /// and start times are not. Null when it is gone or a zombie.
    /// </summary>
    public static long? StartTime(int pid)
    {
        if (!Directory.Exists("/proc/self"))
            return ReadPortably(pid);

        try
        {
            // The second field, the program's name in parentheses, may itself hold spaces and parentheses.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            const int State = 0; // field 3 of proc(5)
            const int StartTimeInTicks = 19; // field 22
            return fields[State] is "Z" or "X" ? null : long.Parse(fields[StartTimeInTicks], CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public static bool IsAlive(int pid, long startTime) => StartTime(pid) == startTime;

    /// <summary>Waits until that very process is gone; false when the time limit passed first.</summary>
    public static async Task<bool> WaitForExitAsync(int pid, long startTime, TimeSpan limit, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        while (IsAlive(pid, startTime))
        {
            if (clock.Elapsed > limit)
                return false;
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken);
        }

        return true;
    }

    /// <summary>Every process whose environment at its start held <paramref name="assignment"/> (<c>NAME=value</c>).</summary>
    public static IEnumerable<int> WithEnvironment(string assignment)
    {
        if (!Directory.Exists("/proc/self"))
            yield break;
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && ReadOrEmpty($"{directory}/environ").Split('\0').Contains(assignment))
            {
                yield return pid;
            }
        }
    }

    internal static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static long? ReadPortably(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return process.StartTime.Ticks;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUserId();
}
