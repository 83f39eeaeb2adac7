using System.Diagnostics;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Tests.Processes;

public sealed class ProcessRegistryTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task KillStragglersAsync_OfAnEarlierRun_EndsWhatItRecorded()
    {
        using var folder = new TemporaryFolder();
        using var sleeper = StartShell("exec sleep 600");
        new ProcessRegistry(folder["processes.json"]).Add("chat", sleeper.Id);

        var ended = await new ProcessRegistry(folder["processes.json"]).KillStragglersAsync(Grace, TestContext.Current.CancellationToken);

        Assert.Equal(["chat"], ended);
        await sleeper.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Grace);
    }

    [Fact]
    public async Task KillStragglersAsync_OfAProcessThatIgnoresTheSignal_KillsIt()
    {
        using var folder = new TemporaryFolder();
        using var stubborn = StartShell("trap '' TERM; echo ready; while :; do sleep 1; done");
        await stubborn.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        new ProcessRegistry(folder["processes.json"]).Add("stubborn", stubborn.Id);

        await new ProcessRegistry(folder["processes.json"])
            .KillStragglersAsync(TimeSpan.FromMilliseconds(200), TestContext.Current.CancellationToken);

        await stubborn.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Grace);
    }

    [Fact]
    public async Task KillStragglersAsync_WhenThePidBelongsToAnotherProcess_LeavesItAlone()
    {
        using var folder = new TemporaryFolder();
        using var stranger = StartShell("exec sleep 600");
        new ProcessRegistry(folder["processes.json"]).Add("chat", stranger.Id);
        var startTime = UnixProcess.StartTime(stranger.Id)!.Value;
        var record = await File.ReadAllTextAsync(folder["processes.json"], TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            folder["processes.json"], record.Replace($"{startTime}", $"{startTime - 1}"), TestContext.Current.CancellationToken);

        var ended = await new ProcessRegistry(folder["processes.json"]).KillStragglersAsync(Grace, TestContext.Current.CancellationToken);

        Assert.Empty(ended);
        Assert.False(stranger.HasExited);
        stranger.Kill();
    }

    [Fact]
    public async Task KillStragglersAsync_FindsAMarkedChildWhoseParentIsGone()
    {
        using var folder = new TemporaryFolder();
        var registry = new ProcessRegistry(folder["processes.json"]);
        using var parent = StartShell("sleep 600 & echo $!", registry.Mark);
        var orphan = int.Parse((await parent.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!);
        await parent.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.NotNull(UnixProcess.StartTime(orphan));

        await new ProcessRegistry(folder["processes.json"]).KillStragglersAsync(Grace, TestContext.Current.CancellationToken);

        Assert.Null(UnixProcess.StartTime(orphan));
    }

    [Fact]
    public async Task Remove_OfAProcessThatStopped_ForgetsIt()
    {
        using var folder = new TemporaryFolder();
        using var sleeper = StartShell("exec sleep 600");
        var registry = new ProcessRegistry(folder["processes.json"]);
        registry.Add("chat", sleeper.Id);

        registry.Remove(sleeper.Id);

        Assert.Empty(await new ProcessRegistry(folder["processes.json"]).KillStragglersAsync(Grace, TestContext.Current.CancellationToken));
        Assert.False(sleeper.HasExited);
        sleeper.Kill();
    }

    [Fact]
    public void StartTime_OfAProgramWithSpacesAndParenthesesInItsName_IsRead()
    {
        using var folder = new TemporaryFolder();
        File.Copy("/bin/sleep", folder["a) b (c"]);
        using var odd = Process.Start(folder["a) b (c"], "600");

        Assert.NotNull(UnixProcess.StartTime(odd.Id));
        odd.Kill();
    }

    private static Process StartShell(string script, Action<IDictionary<string, string?>>? environment = null)
    {
        var start = new ProcessStartInfo("sh", ["-c", script]) { RedirectStandardOutput = true };
        environment?.Invoke(start.Environment);
        return Process.Start(start)!;
    }
}
