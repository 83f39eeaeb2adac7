namespace Fleet.Provisioning.Tests;

public sealed class FleetPathsTests
{
    [Fact]
    public void FindUpwards_FromAFolderDeepInside_FindsTheClone()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["Directory.Packages.props"], "<Project />");
        var deep = Directory.CreateDirectory(folder["services/chat/bin"]).FullName;

        Assert.Equal(folder.Path, FleetPaths.FindUpwards(deep));
    }

    [Fact]
    public void FindUpwards_OutsideOfAnyClone_FindsNothing()
    {
        using var folder = new TemporaryFolder();

        Assert.Null(FleetPaths.FindUpwards(folder.Path));
    }

    [Fact]
    public void Paths_OfASecondState_StayInsideIt()
    {
        using var folder = new TemporaryFolder();
        var paths = new FleetPaths(folder.Path, folder["other"]);

        Assert.All(
            [paths.Data, paths.Logs, paths.Run, paths.EndpointsFile, paths.AdminPasswordFile, paths.StateFile, paths.LogFile("chat")],
            path => Assert.StartsWith(folder["other"] + "/", path, StringComparison.Ordinal));
    }
}
