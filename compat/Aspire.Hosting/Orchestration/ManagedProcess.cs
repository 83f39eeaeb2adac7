using System.Diagnostics;
using Fleet.Provisioning.Processes;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// One child process in a session of its own, so that Ctrl-C in the terminal reaches only the application host, which stops the fleet in
/// order. What the child leaves behind in its group is ended with it: the port must be free for the next start.
/// </summary>
internal sealed class ManagedProcess
{
    private const string SetSid = "setsid";
    private static readonly bool HasSetSid = Tool.Find(SetSid) is not null;
    private readonly Process _process;
    private readonly LaunchPlan _plan;
    private readonly ProcessRegistry _registry;

    private ManagedProcess(Process process, LaunchPlan plan, ProcessRegistry registry, Task<int> whenExited)
    {
        _process = process;
        _plan = plan;
        _registry = registry;
        Id = process.Id;
        WhenExited = whenExited;
    }

    public int Id { get; }

    /// <summary>Completes with the exit code when the process itself has ended, whoever still holds its output open.</summary>
    public Task<int> WhenExited { get; }

    public static ManagedProcess Start(string name, LaunchPlan plan, ProcessRegistry registry, RollingLog log)
    {
        var wrap = HasSetSid && plan.FileName != SetSid;
        var start = new ProcessStartInfo(wrap ? SetSid : plan.FileName)
        {
            WorkingDirectory = plan.WorkingDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (wrap)
            start.ArgumentList.Add(plan.FileName);
        foreach (var argument in plan.Arguments)
            start.ArgumentList.Add(argument);
        if (!plan.InheritEnvironment)
            start.Environment.Clear();
        foreach (var (variable, value) in plan.Environment)
            start.Environment[variable] = value;
        registry.Mark(start.Environment);

        var process = Process.Start(start)!;
        registry.Add(name, process.Id);
        process.StandardInput.Close();
        var output = Task.WhenAll(log.CopyFromAsync(process.StandardOutput), log.CopyFromAsync(process.StandardError));
        return new ManagedProcess(process, plan, registry, WaitAsync(process, output, registry));
    }

    /// <summary>Asks it to stop, and kills it and its group when it does not in time.</summary>
    public async Task StopAsync()
    {
        UnixProcess.Signal(Id, _plan.StopSignal);
        try
        {
            await WhenExited.WaitAsync(_plan.StopTimeout);
        }
        catch (TimeoutException)
        {
            await KillAsync();
        }
    }

    public Task KillAsync()
    {
        KillGroup(Id);
        UnixProcess.Signal(Id, UnixProcess.SigKill);
        return WhenExited;
    }

    private static async Task<int> WaitAsync(Process process, Task output, ProcessRegistry registry)
    {
        // Not the runtime's asynchronous readers: with them waiting for the exit means waiting for every holder of the pipe.
        await process.WaitForExitAsync();
        var exitCode = process.ExitCode;
        KillGroup(process.Id);
        registry.Remove(process.Id);
        await Task.WhenAny(output, Task.Delay(TimeSpan.FromSeconds(1)));
        process.Dispose();
        return exitCode;
    }

    private static void KillGroup(int pid)
    {
        if (HasSetSid)
            UnixProcess.Signal(-pid, UnixProcess.SigKill);
    }
}
