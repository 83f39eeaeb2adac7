using Fleet.Cli.Models;

namespace Fleet.Cli.Tests.Models;

public sealed class ModelFolderTests
{
    [Fact]
    public async Task AddAsync_OfAModel_CopiesItWhole()
    {
        using var folder = new TemporaryFolder();
        var models = new ModelFolder(folder["models"]);
        await File.WriteAllTextAsync(folder["tiny.gguf"], "GGUF and the rest", TestContext.Current.CancellationToken);

        var added = await models.AddAsync(new FileInfo(folder["tiny.gguf"]), TestContext.Current.CancellationToken);

        Assert.Equal("GGUF and the rest", await File.ReadAllTextAsync(added.FullName, TestContext.Current.CancellationToken));
        Assert.Equal(["tiny.gguf"], models.List().Select(file => file.Name));
        Assert.Single(Directory.GetFiles(models.Path));
    }

    [Theory]
    [InlineData("GGU")]
    [InlineData("<html>")]
    [InlineData("")]
    public async Task AddAsync_OfSomethingElse_IsRefusedAndLeavesNothing(string content)
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["page.gguf"], content, TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<CommandException>(
            () => new ModelFolder(folder["models"]).AddAsync(new FileInfo(folder["page.gguf"]), TestContext.Current.CancellationToken));

        Assert.False(Directory.Exists(folder["models"]));
    }

    [Theory]
    [InlineData("../escape.gguf")]
    [InlineData("/tmp/escape.gguf")]
    [InlineData(".hidden.gguf")]
    [InlineData("model.bin")]
    public void TargetOf_AnythingButAPlainModelName_IsRefused(string name)
    {
        using var folder = new TemporaryFolder();

        Assert.Throws<CommandException>(() => new ModelFolder(folder["models"]).TargetOf(name));
    }

    [Fact]
    public void Remove_OfAnUnknownOrForeignFile_IsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["outside.gguf"], "GGUF");
        Directory.CreateDirectory(folder["models"]);

        Assert.Throws<CommandException>(() => new ModelFolder(folder["models"]).Remove("../outside.gguf"));
        Assert.True(File.Exists(folder["outside.gguf"]));
    }
}
