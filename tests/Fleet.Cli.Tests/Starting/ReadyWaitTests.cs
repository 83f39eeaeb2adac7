using System.Diagnostics;
using Fleet.Cli.Starting;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Tests.Starting;

public sealed class ReadyWaitTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);
    private readonly TemporaryFolder _folder = new();
    private readonly FleetPaths _paths;
    private readonly Process _appHost = Process.Start("sleep", ["600"]);
    private readonly IAnsiConsole _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(TextWriter.Null) });

    public ReadyWaitTests()
    {
        _paths = new FleetPaths(_folder.Path);
        _paths.CreateDirectories();
    }

    public void Dispose()
    {
        _appHost.Kill();
        _appHost.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task RunAsync_WhenAllAreReady_Returns()
    {
        WriteState(("postgres", "Ready"), ("chat", "Ready"));

        await Wait(Long);
    }

    [Fact]
    public async Task RunAsync_WhenOneFailed_ShowsTheEndOfItsLog()
    {
        File.WriteAllText(_paths.LogFile("chat"), "first\nthe reason\n");
        WriteState(("postgres", "Ready"), ("chat", "Failed"));

        var failure = await Assert.ThrowsAsync<CommandException>(() => Wait(Long));

        Assert.Contains("the reason", failure.Message);
    }

    [Fact]
    public async Task RunAsync_WhenTimeIsUp_BlamesTheOneThatOthersWaitFor()
    {
        File.WriteAllText(_paths.LogFile("auth"), "still migrating\n");
        WriteState(("chat", "Waiting"), ("auth", "Running"));

        var failure = await Assert.ThrowsAsync<CommandException>(() => Wait(TimeSpan.Zero));

        Assert.Contains("chat (Waiting), auth (Running)", failure.Message);
        Assert.Contains("still migrating", failure.Message);
    }

    [Fact]
    public async Task RunAsync_WhenTheAppHostEnds_SaysSo()
    {
        File.WriteAllText(_paths.LogFile("apphost"), "bad configuration\n");
        _appHost.Kill();
        await _appHost.WaitForExitAsync(TestContext.Current.CancellationToken);

        var failure = await Assert.ThrowsAsync<CommandException>(() => Wait(Long));

        Assert.Contains("bad configuration", failure.Message);
    }

    private Task Wait(TimeSpan limit) => new ReadyWait(_paths, _console, _appHost).RunAsync(limit, TestContext.Current.CancellationToken);

    private void WriteState(params (string Name, string State)[] resources) => AtomicFile.WriteJson(_paths.StateFile, new
    {
        startedAt = DateTimeOffset.UnixEpoch,
        pid = _appHost.Id,
        resources = resources.Select(resource => new { name = resource.Name, state = resource.State, restarts = 0 }),
    });
}
