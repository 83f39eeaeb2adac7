using Fleet.Cli.Starting;
using Fleet.Provisioning;

namespace Fleet.Cli.Tests.Starting;

public sealed class WebAppTests
{
    [Fact]
    public void HasChanged_BeforeTheFirstBuild_IsTrue()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["services/web/app/src"]);
        File.WriteAllText(folder["services/web/app/package.json"], """{ "scripts": { "lint": "eslint ." } }""");
        var web = new WebApp(new FleetPaths(folder.Path));

        Assert.True(web.Exists);
        Assert.True(web.HasChanged);
        Assert.True(web.HasScript("lint"));
        Assert.False(web.HasScript("test"));
    }

    [Fact]
    public void Exists_InACloneWithoutTheApp_IsFalse()
    {
        using var folder = new TemporaryFolder();

        Assert.False(new WebApp(new FleetPaths(folder.Path)).Exists);
    }
}
