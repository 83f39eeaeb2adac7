using Fleet.Provisioning.Servers;

namespace Fleet.Provisioning.Tests.Servers;

public sealed class ServerFindingTests
{
    [Theory]
    [InlineData("postgres (PostgreSQL) 17.5 (Debian 17.5-1)", 17, 5)]
    [InlineData("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc", 7, 0)]
    [InlineData("Server v=8.1.1 sha=00000000", 8, 1)]
    [InlineData("rabbitmq_server-3.10.8", 3, 10)]
    [InlineData("postgres (PostgreSQL) 18beta1", 18, 0)]
    public void ParseVersion_OfWhatTheServersPrint_IsTheirVersion(string text, int major, int minor) =>
        Assert.Equal(new Version(major, minor), HostServers.ParseVersion(text));

    [Fact]
    public void ParseVersion_WithoutANumber_IsNull() => Assert.Null(HostServers.ParseVersion("command not found"));

    [Theory]
    [InlineData("Types: deb\n# URIs: http://old.example\nURIs: http://mirror.example/debian/\nSuites: bookworm", "http://mirror.example/debian")]
    [InlineData("deb [arch=amd64 signed-by=/a.gpg] https://mirror.example/debian bookworm main", "https://mirror.example/debian")]
    [InlineData("URIs: http://mirror.example/debian-security\n\ndeb http://other.example/debian trixie main", "http://other.example/debian")]
    public void FindMirror_TakesTheFirstOneThatIsNotTheSecurityMirror(string sources, string mirror) =>
        Assert.Equal(mirror, DebianRoot.FindMirror([sources]));

    [Fact]
    public void FindMirror_WithoutSources_LeavesItToDebootstrap() => Assert.Null(DebianRoot.FindMirror(["", "# nothing here"]));

    [Fact]
    public void Credentials_AreMadeOnceAndKept()
    {
        using var folder = new TemporaryFolder();

        var first = ServerCredentials.LoadOrCreate(folder["credentials.json"]);
        var second = ServerCredentials.LoadOrCreate(folder["credentials.json"]);

        Assert.Equal(first, second);
        Assert.Equal(3, new[] { first.PostgreSql, first.RabbitMq, first.Redis }.Distinct().Count());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder["credentials.json"]));
    }

    [Theory]
    [InlineData("4194399\n/mnt/pg17\n1763640000\n5432\n")] // beyond the largest pid there can be
    [InlineData("")]
    [InlineData("garbage")]
    public void RemoveStalePostmasterFile_OfAKilledRun_RemovesIt(string content)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["postmaster.pid"], content);

        LocalInstallation.RemoveStalePostmasterFile(folder["postmaster.pid"]);

        Assert.False(File.Exists(folder["postmaster.pid"]));
    }

    [Fact]
    public void RemoveStalePostmasterFile_WhenThePidIsSomeoneElseNow_RemovesIt()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["postmaster.pid"], $"{Environment.ProcessId}\n/mnt/pg17\n1763640000\n5432\n");

        LocalInstallation.RemoveStalePostmasterFile(folder["postmaster.pid"]);

        Assert.False(File.Exists(folder["postmaster.pid"]));
    }

    [Theory]
    [InlineData(ServerSource.Host)]
    [InlineData(ServerSource.DebianRoot)]
    public void Launches_KeepPasswordsOffTheCommandLine(ServerSource source)
    {
        using var folder = new TemporaryFolder();
        var installation = new LocalInstallation(
            source, "", new LocalBinaries("/", "/usr/lib/postgresql/17/bin", 17, "/rabbitmq-server", "/usr/bin/valkey-server", "valkey"));
        ServerInstallation[] all = [installation, new ContainerInstallation("")];
        var ports = new PortAllocator(folder["ports.json"]);

        var launches = all.SelectMany(each => new[]
        {
            each.PostgreSql(folder.Path, 1, "PASSWORD"), each.RabbitMq(folder.Path, 2, "PASSWORD", ports), each.Redis(folder.Path, 3, "PASSWORD"),
        });

        Assert.All(launches, launch => Assert.DoesNotContain(launch.Arguments, argument => argument.Contains("PASSWORD=PASSWORD") || argument == "PASSWORD"));
        Assert.All(launches, launch => Assert.Contains("PASSWORD", launch.ConnectionString));
    }
}
