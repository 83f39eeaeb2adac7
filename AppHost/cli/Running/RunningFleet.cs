using System.Globalization;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Running;

/// <summary>
/// The AppHost of this clone, when there is one. It holds a lock on <c>.fleet/run/apphost.lock</c> for as long as it lives and writes its
/// process id beside it, so what a killed AppHost left behind is never mistaken for a running one.
/// </summary>
internal sealed record RunningFleet(int Pid, long StartTime)
{
    public static RunningFleet? Find(FleetPaths paths)
    {
        var lockFile = Path.Combine(paths.Run, "apphost.lock");
        if (!File.Exists(lockFile) || !IsHeld(lockFile))
            return null;

        var recorded = UnixProcessId(Path.Combine(paths.Run, "apphost.pid"));
        return recorded is { } pid && UnixProcess.StartTime(pid) is { } startTime ? new RunningFleet(pid, startTime) : null;
    }

    public static RunningFleet Require(FleetPaths paths) =>
        Find(paths) ?? throw new CommandException("Fleet is not running here. Start it with: ./fleet up");

    /// <summary>Asks the AppHost to stop everything in order, and waits.</summary>
    public async Task<bool> StopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        UnixProcess.Signal(Pid, UnixProcess.SigTerm);
        return await UnixProcess.WaitForExitAsync(Pid, StartTime, limit, cancellationToken);
    }

    public void Kill() => UnixProcess.Signal(Pid, UnixProcess.SigKill);

    private static bool IsHeld(string lockFile)
    {
        try
        {
            using var probe = new FileStream(lockFile, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static int? UnixProcessId(string file) =>
        File.Exists(file) && int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out var pid) ? pid : null;
}
