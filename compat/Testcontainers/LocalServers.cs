using System.Globalization;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;
using Fleet.Provisioning.Servers;

namespace DotNet.Testcontainers.Containers;

/// <summary>
/// What the containers of one test process share: where their data lies, their ports, and the record by which a later process ends what
/// a killed one left behind (the real library has a reaper container for that).
/// </summary>
internal static class LocalServers
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);
    private static readonly string Folder = Path.Combine(FleetPaths.Discover().State, "test", "containers");
    private static readonly string Own = Path.Combine(
        Folder, string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}-{UnixProcess.StartTime(Environment.ProcessId)}"));

    private static readonly Lazy<Task<ServerInstallation>> LazyInstallation = new(LocateAsync);

    public static ProcessRegistry Registry { get; } = new(Path.Combine(Own, "processes.json"));

    public static PortAllocator Ports { get; } = new(Path.Combine(Own, "ports.json"));

    public static Task<ServerInstallation> InstallationAsync() => LazyInstallation.Value;

    public static string NewDataDirectory(string id) => Path.Combine(Own, id);

    private static async Task<ServerInstallation> LocateAsync()
    {
        foreach (var folder in Directory.Exists(Folder) ? Directory.GetDirectories(Folder) : [])
        {
            if (IsAlive(Path.GetFileName(folder)))
                continue;
            await new ProcessRegistry(Path.Combine(folder, "processes.json")).KillStragglersAsync(Grace, CancellationToken.None);
            Directory.Delete(folder, recursive: true);
        }

        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            Registry.KillStragglersAsync(Grace, CancellationToken.None).GetAwaiter().GetResult();
            if (Directory.Exists(Own))
                Directory.Delete(Own, recursive: true);
        };
        return await ServerLocator.LocateAsync(new Progress<string>(Console.WriteLine), CancellationToken.None);
    }

    private static bool IsAlive(string owner)
    {
        var parts = owner.Split('-');
        return parts.Length == 2
            && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var pid)
            && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var startTime)
            && UnixProcess.IsAlive(pid, startTime);
    }
}
