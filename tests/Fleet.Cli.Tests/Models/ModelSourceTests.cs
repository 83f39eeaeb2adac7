using Fleet.Cli.Models;

namespace Fleet.Cli.Tests.Models;

public sealed class ModelSourceTests
{
    [Theory]
    [InlineData("https://models.example/a/b.gguf?download=1", "https://models.example/a/b.gguf?download=1", "b.gguf")]
    [InlineData("owner/repo/file.gguf", "https://hub.example/owner/repo/resolve/main/file.gguf", "file.gguf")]
    [InlineData("owner/repo/q4/file one.gguf", "https://hub.example/owner/repo/resolve/main/q4/file%20one.gguf", "file one.gguf")]
    public void Parse_OfAnAddressOrAHubPath_IsWhereToGetIt(string text, string address, string fileName)
    {
        var source = ModelSource.Parse(text, "https://hub.example/");

        Assert.Equal(address, source.Address.AbsoluteUri);
        Assert.Equal(fileName, source.FileName);
    }

    [Theory]
    [InlineData("file.gguf")]
    [InlineData("owner/file.gguf")]
    [InlineData("owner/../file.gguf")]
    [InlineData("owner//file.gguf")]
    [InlineData("ftp://models.example/file.gguf")]
    [InlineData("file:///etc/passwd")]
    public void Parse_OfAnythingElse_IsRefused(string text) =>
        Assert.Throws<CommandException>(() => ModelSource.Parse(text, "https://hub.example"));
}
