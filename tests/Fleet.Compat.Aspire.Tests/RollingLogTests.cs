using Aspire.Hosting.Orchestration;

namespace Fleet.Compat.Aspire.Tests;

public sealed class RollingLogTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public void WriteLine_PastTheLimit_KeepsTheNewestThreeOldFiles()
    {
        using (var log = new RollingLog(_folder.File("x.log"), maxBytes: 10))
        {
            for (var line = 1; line <= 6; line++)
                log.WriteLine($"line {line}");
        }

        Assert.Equal("line 6\n", File.ReadAllText(_folder.File("x.log")));
        Assert.Equal("line 5\n", File.ReadAllText(_folder.File("x.log.1")));
        Assert.Equal("line 3\n", File.ReadAllText(_folder.File("x.log.3")));
        Assert.False(File.Exists(_folder.File("x.log.4")));
    }

    [Fact]
    public void WriteLine_NewLogOnAnOldFile_Appends()
    {
        foreach (var line in (string[])["one", "two"])
        {
            using var log = new RollingLog(_folder.File("x.log"));
            log.WriteLine(line);
        }

        Assert.Equal("one\ntwo\n", File.ReadAllText(_folder.File("x.log")));
    }

    public void Dispose() => _folder.Dispose();
}
