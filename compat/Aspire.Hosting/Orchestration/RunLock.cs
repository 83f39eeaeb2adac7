using System.Globalization;
using Fleet.Provisioning;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Keeps two application hosts off one state directory. The lock is the kernel's (an open file), so a killed host leaves nothing to clean up;
/// the process id is kept beside it only for the message.
/// </summary>
internal sealed class RunLock : IDisposable
{
    private readonly FileStream _file;

    private RunLock(FileStream file) => _file = file;

    /// <summary>The lock, or null when another process holds it.</summary>
    public static RunLock? TryAcquire(FleetPaths paths)
    {
        try
        {
            var file = new FileStream(LockFile(paths), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.WriteAllText(HolderFile(paths), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return new RunLock(file);
        }
        catch (IOException) when (File.Exists(LockFile(paths)))
        {
            return null;
        }
    }

    public static string Holder(FleetPaths paths) =>
        File.Exists(HolderFile(paths)) ? File.ReadAllText(HolderFile(paths)).Trim() : "unknown";

    public void Dispose() => _file.Dispose();

    private static string LockFile(FleetPaths paths) => Path.Combine(paths.Run, "apphost.lock");

    private static string HolderFile(FleetPaths paths) => Path.Combine(paths.Run, "apphost.pid");
}
