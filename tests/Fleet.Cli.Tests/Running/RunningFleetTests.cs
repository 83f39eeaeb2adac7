using System.Diagnostics;
using Fleet.Cli.Running;
using Fleet.Provisioning;

namespace Fleet.Cli.Tests.Running;

public sealed class RunningFleetTests
{
    [Fact]
    public void Find_WhenAKilledRunLeftItsFiles_FindsNothing()
    {
        using var folder = new TemporaryFolder();
        var paths = Paths(folder, Environment.ProcessId);

        Assert.Null(RunningFleet.Find(paths));
    }

    [Fact]
    public void Find_WhileTheLockIsHeld_FindsItsHolder()
    {
        using var folder = new TemporaryFolder();
        var paths = Paths(folder, Environment.ProcessId);
        // Held by another process: within one, the runtime would share it.
        using var holder = Process.Start("flock", [Path.Combine(paths.Run, "apphost.lock"), "sleep", "600"]);
        try
        {
            Assert.True(SpinWait.SpinUntil(() => RunningFleet.Find(paths) is not null, TimeSpan.FromSeconds(10)));
            Assert.Equal(Environment.ProcessId, RunningFleet.Find(paths)!.Pid);
        }
        finally
        {
            holder.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public void State_AsTheAppHostWritesIt_IsRead()
    {
        using var folder = new TemporaryFolder();
        var paths = Paths(folder, 1);
        File.WriteAllText(paths.StateFile, """
            {
              "startedAt": "2026-11-20T13:00:00+00:00", "pid": 4711,
              "resources": [
                { "name": "gateway", "kind": "project", "state": "Ready", "health": "Healthy", "pid": 4712, "restarts": 1,
                  "endpoints": { "http": "http://127.0.0.1:8080" }, "logFile": "/x/gateway.log", "detail": null, "unknown": 1 },
                { "name": "chat", "state": "Waiting", "restarts": 0 }
              ]
            }
            """);

        var state = FleetState.Read(paths)!;

        Assert.Equal("http://127.0.0.1:8080", state.Address("gateway"));
        Assert.Null(state.Address("chat"));
        Assert.Equal([true, false], state.Resources.Select(resource => resource.IsReady));
    }

    private static FleetPaths Paths(TemporaryFolder folder, int pid)
    {
        var paths = new FleetPaths(folder.Path);
        paths.CreateDirectories();
        File.WriteAllText(Path.Combine(paths.Run, "apphost.lock"), "");
        File.WriteAllText(Path.Combine(paths.Run, "apphost.pid"), $"{pid}");
        return paths;
    }
}
