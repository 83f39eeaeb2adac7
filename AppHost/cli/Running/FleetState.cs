using Fleet.Provisioning;

namespace Fleet.Cli.Running;

/// <summary>What the AppHost writes to <c>.fleet/run/state.json</c> on every change.</summary>
internal sealed record FleetState(DateTimeOffset StartedAt, int Pid, IReadOnlyList<ResourceState> Resources)
{
    public static FleetState? Read(FleetPaths paths) => AtomicFile.ReadJson<FleetState>(paths.StateFile);

    public string? Address(string resource, string endpoint = "http") =>
        Resources.FirstOrDefault(candidate => candidate.Name == resource)?.Endpoints?.GetValueOrDefault(endpoint);
}

internal sealed record ResourceState(
    string Name,
    string? Kind,
    string State,
    string? Health,
    int? Pid,
    int Restarts,
    IReadOnlyDictionary<string, string>? Endpoints,
    string? LogFile,
    string? Detail)
{
    public bool IsReady => State is "Ready" or "Finished";

    public bool IsFailed => State == "Failed";
}
