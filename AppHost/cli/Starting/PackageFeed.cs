using Fleet.Provisioning;

namespace Fleet.Cli.Starting;

/// <summary>Which packages this machine's feed has, as <c>./fleet</c> found out and wrote down.</summary>
internal static class PackageFeed
{
    public static string File(FleetPaths paths) => Path.Combine(paths.State, "feed.props");

    /// <summary>True when the projects in compat/ take the place of packages.</summary>
    public static bool IsPartial(FleetPaths paths)
    {
        var file = File(paths);
        return System.IO.File.Exists(file) && System.IO.File.ReadAllText(file).Contains("<FleetCompat>true", StringComparison.Ordinal);
    }
}
