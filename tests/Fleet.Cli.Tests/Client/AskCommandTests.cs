using System.Text;
using Fleet.Cli.Client;

namespace Fleet.Cli.Tests.Client;

public sealed class AskCommandTests
{
    [Fact]
    public async Task WriteAsync_OfAWholeAnswer_WritesItsTextAndItsSources()
    {
        var (exitCode, text) = await WriteAsync("""
            event: run
            data: {"seq":0,"runId":"r"}

            event: citation
            data: {"seq":1,"number":1,"title":"README.md","page":1}

            event: token
            data: {"seq":1,"text":"Hello, "}

            event: token
            data: {"seq":2,"text":"세계"}

            event: done
            data: {"seq":3}


            """);

        Assert.Equal(0, exitCode);
        Assert.Equal(["Hello, 세계", "[1] README.md, page 1"], text.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task WriteAsync_OfAFailedAnswer_TellsItsTitle()
    {
        var failure = await Assert.ThrowsAsync<CommandException>(() => WriteAsync("event: error\ndata: {\"title\":\"No model is loaded\"}\n\n"));

        Assert.Contains("No model is loaded", failure.Message);
    }

    [Fact]
    public async Task WriteAsync_OfAStreamThatBreaksOff_IsAFailure() =>
        await Assert.ThrowsAsync<CommandException>(() => WriteAsync("event: token\ndata: {\"text\":\"Hel\"}\n\n"));

    private static async Task<(int ExitCode, string Text)> WriteAsync(string events)
    {
        using var output = new StringWriter();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(events));
        var exitCode = await AskCommand.WriteAsync(stream, output, TestContext.Current.CancellationToken);
        return (exitCode, output.ToString());
    }
}
