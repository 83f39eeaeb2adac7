using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// How to run one backing server in the foreground as one child process. The caller awaits <see cref="PrepareAsync"/>, starts the
/// process with its output going to a log, and polls <see cref="IsReadyAsync"/>. The process is its own session leader, so a Ctrl-C in
/// the terminal does not reach it before the services that use it have stopped.
/// </summary>
public sealed record ServerLaunch
{
    public required string Name { get; init; }

    public required string FileName { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public required int Port { get; init; }

    /// <summary>In the form its .NET client takes; holds the password, so it never goes to a log.</summary>
    public required string ConnectionString { get; init; }

    /// <summary>Asks for a fast but orderly stop.</summary>
    public int StopSignal { get; init; } = UnixProcess.SigTerm;

    /// <summary>After this long the process is killed.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Makes the data directory what the server needs, also after a kill. Safe to run before every start.</summary>
    public required Func<CancellationToken, Task> PrepareAsync { get; init; }

    /// <summary>One question in the server's own protocol: true when it takes clients now.</summary>
    public required Func<CancellationToken, Task<bool>> IsReadyAsync { get; init; }
}
