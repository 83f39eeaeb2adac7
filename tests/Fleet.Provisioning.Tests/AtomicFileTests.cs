namespace Fleet.Provisioning.Tests;

public sealed class AtomicFileTests
{
    [Fact]
    public void Write_Secret_IsReadableByItsOwnerOnly()
    {
        using var folder = new TemporaryFolder();

        AtomicFile.Write(folder["secret"], "s3cret", secret: true);

        Assert.Equal("s3cret", File.ReadAllText(folder["secret"]));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder["secret"]));
    }

    [Fact]
    public void Write_OverAnExistingFile_LeavesOneWholeFile()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.Write(folder["file"], "a much longer text than the second one");

        AtomicFile.Write(folder["file"], "short");

        Assert.Equal("short", File.ReadAllText(folder["file"]));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"PostgreSql\":")]
    [InlineData("[1,2]")]
    public void ReadJson_OfADamagedFile_IsNull(string content)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], content);

        Assert.Null(AtomicFile.ReadJson<Dictionary<string, int>>(folder["file"]));
    }
}
