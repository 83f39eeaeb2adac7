namespace Fleet.Provisioning;

/// <summary>
/// Where Fleet keeps things. The cache is per user and shared by every clone; the state directory (<c>.fleet</c>) belongs to one clone
/// and is ignored by git.
/// </summary>
public sealed class FleetPaths(string root, string? stateDirectory = null, string? cacheDirectory = null)
{
    /// <summary>The clone's root may be given by hand, for instance when a published AppHost runs outside of it.</summary>
    public const string RootVariable = "FLEET_ROOT";

    /// <summary>A second fleet of the same clone (the tests' one) keeps its state elsewhere.</summary>
    public const string StateVariable = "FLEET_STATE_DIRECTORY";

    private const string RootMarker = "Directory.Packages.props";

    public string Root { get; } = Path.GetFullPath(root);

    public string State { get; } = Path.GetFullPath(stateDirectory ?? Path.Combine(root, ".fleet"));

    public string Cache { get; } = cacheDirectory ?? DefaultCache();

    public string Data => Path.Combine(State, "data");

    public string Models => Path.Combine(Data, "models");

    public string Logs => Path.Combine(State, "logs");

    public string Run => Path.Combine(State, "run");

    public string EndpointsFile => Path.Combine(State, "endpoints.json");

    public string AdminPasswordFile => Path.Combine(State, "admin-password");

    public string CredentialsFile => Path.Combine(State, "server-credentials.json");

    public string ProcessesFile => Path.Combine(Run, "processes.json");

    public string PortsFile => Path.Combine(Run, "ports.json");

    /// <summary>Written by the AppHost on every change of a resource's state.</summary>
    public string StateFile => Path.Combine(Run, "state.json");

    public string LogFile(string resource) => Path.Combine(Logs, resource + ".log");

    /// <summary>Finds the clone: <c>FLEET_ROOT</c>, else upwards from the working directory, else upwards from the program itself.</summary>
    public static FleetPaths Discover()
    {
        var root = Environment.GetEnvironmentVariable(RootVariable) is { Length: > 0 } given
            ? given
            : FindUpwards(Directory.GetCurrentDirectory()) ?? FindUpwards(AppContext.BaseDirectory);
        if (root is null)
        {
            throw new ProvisioningException(
                $"This is not inside a clone of Fleet (no {RootMarker} here or above). Change into the clone, or set {RootVariable}.");
        }

        var state = Environment.GetEnvironmentVariable(StateVariable);
        return new FleetPaths(root, string.IsNullOrEmpty(state) ? null : state);
    }

    public void CreateDirectories()
    {
        foreach (var directory in (string[])[State, Data, Logs, Run])
            Directory.CreateDirectory(directory);
    }

    internal static string? FindUpwards(string start)
    {
        for (var directory = new DirectoryInfo(start); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, RootMarker)))
                return directory.FullName;
        }

        return null;
    }

    private static string DefaultCache()
    {
        var xdg = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return Path.Combine(string.IsNullOrEmpty(xdg) ? Path.Combine(home, ".cache") : xdg, "fleet");
    }
}
