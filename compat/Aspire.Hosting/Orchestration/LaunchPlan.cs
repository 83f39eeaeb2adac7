using Fleet.Provisioning.Processes;

namespace Aspire.Hosting.Orchestration;

/// <summary>Everything needed to start one process, watch its health and ask it to stop.</summary>
internal sealed record LaunchPlan
{
    public required string FileName { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }

    public string WorkingDirectory { get; init; } = "";

    /// <summary>The process's whole environment, or additions to this process's when <see cref="InheritEnvironment"/>.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    public bool InheritEnvironment { get; init; }

    /// <summary>True when the process is well. Without a probe, running is being well.</summary>
    public Func<CancellationToken, Task<bool>>? IsHealthyAsync { get; init; }

    public int StopSignal { get; init; } = UnixProcess.SigTerm;

    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Whether ending by itself with exit code 0 is success rather than something to restart.</summary>
    public bool MayFinish { get; init; }
}

/// <summary>Turns a resource into a launch plan, anew before every start, so that values which changed meanwhile are seen.</summary>
internal interface IInstanceLauncher
{
    Task<LaunchPlan> PrepareAsync(ResourceInstance instance, CancellationToken cancellationToken);
}
