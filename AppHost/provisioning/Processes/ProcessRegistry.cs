namespace Fleet.Provisioning.Processes;

/// <summary>
/// Every process that a run started, written down at once, so that the next run can end what a SIGKILLed one left behind.
/// A process is recognised by pid and start time, never by pid alone. Children that outlive a recorded parent are found by the
/// marker that <see cref="Mark"/> puts into their environment.
/// </summary>
public sealed class ProcessRegistry(string file)
{
    /// <summary>Names the registry a process belongs to. Set on started processes only, never on the program that starts them.</summary>
    public const string MarkerVariable = "FLEET_PROCESS_REGISTRY";

    private const string Unrecorded = "";

    private readonly Lock _gate = new();
    private readonly string _file = Path.GetFullPath(file);
    private readonly List<RegisteredProcess> _processes = Load(Path.GetFullPath(file));

    private string Marker => $"{MarkerVariable}={_file}";

    public void Mark(IDictionary<string, string?> environment) => environment[MarkerVariable] = _file;

    public void Add(string name, int pid)
    {
        // Gone already: nothing to remember.
        if (UnixProcess.StartTime(pid) is not { } startTime)
            return;
        Change(processes => processes.Add(new RegisteredProcess(name, pid, startTime)));
    }

    public void Remove(int pid) => Change(processes => processes.RemoveAll(process => process.Pid == pid));

    /// <summary>
    /// Ends whatever an earlier run left alive: SIGTERM, then SIGKILL after <paramref name="grace"/>. Only for a caller that knows that
    /// no run is going on. Returns the names of what was ended.
    /// </summary>
    public async Task<IReadOnlyList<string>> KillStragglersAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        var alive = FindStragglers();
        string[] names = [.. alive.Where(process => process.Name != Unrecorded).Select(process => process.Name).Distinct(StringComparer.Ordinal)];
        foreach (var process in alive)
            UnixProcess.Signal(process.Pid, UnixProcess.SigTerm);
        foreach (var process in alive)
            await UnixProcess.WaitForExitAsync(process.Pid, process.StartTime, grace, cancellationToken);

        // A second look: what ignored SIGTERM, and what a dying parent let go meanwhile.
        foreach (var process in FindStragglers())
        {
            UnixProcess.Signal(process.Pid, UnixProcess.SigKill);
            await UnixProcess.WaitForExitAsync(process.Pid, process.StartTime, TimeSpan.FromSeconds(5), cancellationToken);
        }

        Change(processes => processes.Clear());
        return names;
    }

    private List<RegisteredProcess> FindStragglers()
    {
        lock (_gate)
        {
            var recorded = _processes.Where(process => UnixProcess.IsAlive(process.Pid, process.StartTime)).ToList();
            var known = recorded.Select(process => process.Pid).ToHashSet();
            var unrecorded =
                from pid in UnixProcess.WithEnvironment(Marker)
                where pid != Environment.ProcessId && !known.Contains(pid)
                let startTime = UnixProcess.StartTime(pid)
                where startTime is not null
                select new RegisteredProcess(Unrecorded, pid, startTime.Value);
            return [.. recorded, .. unrecorded];
        }
    }

    private void Change(Action<List<RegisteredProcess>> change)
    {
        lock (_gate)
        {
            change(_processes);
            AtomicFile.WriteJson(_file, new Record(BootId(), _processes));
        }
    }

    private static List<RegisteredProcess> Load(string file) =>
        AtomicFile.ReadJson<Record>(file) is { } record && record.BootId == BootId() ? record.Processes : [];

    // Start times count from boot, so a record from before a reboot means nothing.
    private static string BootId() => UnixProcess.ReadOrEmpty("/proc/sys/kernel/random/boot_id").Trim();

    private sealed record Record(string BootId, List<RegisteredProcess> Processes);
}

public sealed record RegisteredProcess(string Name, int Pid, long StartTime);
