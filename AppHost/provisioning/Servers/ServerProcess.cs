using System.Diagnostics;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>One running backing server: started, waited for and stopped in an orderly way.</summary>
public sealed class ServerProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ProcessRegistry _registry;
    private readonly string _logFile;
    private readonly StreamWriter _log;
    private readonly Lock _logGate = new();

    private ServerProcess(ServerLaunch launch, Process process, ProcessRegistry registry, string logFile, StreamWriter log)
    {
        Launch = launch;
        _process = process;
        _registry = registry;
        _logFile = logFile;
        _log = log;
    }

    public ServerLaunch Launch { get; }

    public int ProcessId => _process.Id;

    /// <summary>Prepares, starts and waits until the server takes clients.</summary>
    public static async Task<ServerProcess> StartAsync(
        ServerLaunch launch, ProcessRegistry registry, string logFile, TimeSpan limit, CancellationToken cancellationToken)
    {
        await launch.PrepareAsync(cancellationToken);
        var server = Start(launch, registry, logFile);
        try
        {
            await server.WaitUntilReadyAsync(limit, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            UnixProcess.Signal(_process.Id, Launch.StopSignal);
            using var limit = new CancellationTokenSource(Launch.StopTimeout);
            try
            {
                await _process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _registry.Remove(_process.Id);
        _process.Dispose();
        lock (_logGate)
            _log.Dispose();
    }

    private static ServerProcess Start(ServerLaunch launch, ProcessRegistry registry, string logFile)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(logFile)!);
        var start = new ProcessStartInfo(launch.FileName, launch.Arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var (name, value) in launch.Environment)
            start.Environment[name] = value;
        registry.Mark(start.Environment);

        var log = new StreamWriter(logFile, append: false) { AutoFlush = true };
        var process = new Process { StartInfo = start };
        var server = new ServerProcess(launch, process, registry, logFile, log);
        process.OutputDataReceived += (_, line) => server.Log(line.Data);
        process.ErrorDataReceived += (_, line) => server.Log(line.Data);
        process.Start();
        registry.Add(launch.Name, process.Id);
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return server;
    }

    private async Task WaitUntilReadyAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        while (!await Launch.IsReadyAsync(cancellationToken))
        {
            if (_process.HasExited)
                throw new ProvisioningException($"{Launch.Name} ended with exit code {_process.ExitCode} while starting.\n{LogTail()}");
            if (clock.Elapsed > limit)
                throw new ProvisioningException($"{Launch.Name} was not ready after {limit.TotalSeconds:0} s.\n{LogTail()}");
            await Task.Delay(TimeSpan.FromMilliseconds(150), cancellationToken);
        }
    }

    private void Log(string? line)
    {
        lock (_logGate)
        {
            // Lines may still arrive from the reader after the process, and this object, are gone.
            if (line is not null && _log.BaseStream is not null)
                _log.WriteLine(line);
        }
    }

    private string LogTail() => $"The end of {_logFile}:\n" + string.Join('\n', UnixProcess.ReadOrEmpty(_logFile).Split('\n').TakeLast(20));
}
