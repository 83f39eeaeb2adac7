using System.Diagnostics;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>A server under test: its output goes to a file, and it can be stopped in its tracks while the other side is measured.</summary>
internal sealed class MeasuredProcess : IAsyncDisposable
{
    private const int SigCont = 18;
    private const int SigStop = 19;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(20);
    private readonly Process _process;
    private readonly ProcessRegistry _registry;

    private MeasuredProcess(Process process, ProcessRegistry registry, string log)
    {
        _process = process;
        _registry = registry;
        Log = log;
    }

    public int Id => _process.Id;

    public string Log { get; }

    public bool HasExited => _process.HasExited;

    /// <param name="registry">Remembers it, so that the next run ends what a killed run left behind.</param>
    public static MeasuredProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment, string log, ProcessRegistry registry, string? workingDirectory = null)
    {
        // The shell replaces itself by the program: what remains is the program under the shell's pid, writing to the file itself.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" >\"$FLEET_BENCH_LOG\" 2>&1 </dev/null", "sh", program, .. arguments])
        {
            WorkingDirectory = workingDirectory ?? "",
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        start.Environment["FLEET_BENCH_LOG"] = log;
        registry.Mark(start.Environment);
        var process = Process.Start(start)!;
        registry.Add(Path.GetFileName(program), process.Id);
        return new MeasuredProcess(process, registry, log);
    }

    /// <summary>Even an idle server's polling and spinning would show in the other side's figures.</summary>
    public void Pause() => UnixProcess.Signal(Id, SigStop);

    public void Resume() => UnixProcess.Signal(Id, SigCont);

    /// <summary>Asks it to end, and waits until it has.</summary>
    public async Task StopAsync()
    {
        if (!_process.HasExited)
        {
            Resume();
            UnixProcess.Signal(Id, UnixProcess.SigTerm);
            using var limit = new CancellationTokenSource(Grace);
            try
            {
                await _process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _registry.Remove(Id);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _process.Dispose();
    }

    /// <summary>The end of what it printed, for a message about its failure.</summary>
    public string Tail()
    {
        const int Lines = 15;
        return File.Exists(Log) ? string.Join('\n', File.ReadLines(Log).TakeLast(Lines)) : "";
    }
}
