using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Orchestration;

internal enum InstanceState
{
    Waiting,
    Starting,

    /// <summary>The process runs but its health check has not passed.</summary>
    Running,
    Ready,

    /// <summary>It ended unasked and will be started again after a pause.</summary>
    Restarting,

    /// <summary>It cannot be started, and trying again would not help.</summary>
    Failed,
    Stopped,

    /// <summary>A command that was meant to end has ended well.</summary>
    Finished,
}

internal sealed record InstanceStatus(
    InstanceState State, int? ProcessId = null, int Restarts = 0, int? ExitCode = null, string? Detail = null, DateTimeOffset? StartedAt = null);

/// <summary>One replica of a resource. Its status is written by its supervisor alone and read by anyone.</summary>
internal sealed class ResourceInstance(IResource resource, int index, int count, ResourceNotificationService notifications)
{
    private volatile InstanceStatus _status = new(InstanceState.Waiting);

    public IResource Resource { get; } = resource;

    public int Index { get; } = index;

    public string Id { get; } = count == 1 ? resource.Name : $"{resource.Name}-{index}";

    public string Kind => Resource switch
    {
        ProjectResource => "project",
        ExecutableResource => "executable",
        ContainerResource => "server",
        PostgresDatabaseResource => "database",
        IResourceWithConnectionString => "connection",
        _ => "parameter",
    };

    /// <summary>This replica's own addresses by endpoint name.</summary>
    public Dictionary<string, AllocatedEndpoint> Endpoints { get; } = new(StringComparer.OrdinalIgnoreCase);

    public InstanceStatus Status => _status;

    public string Health => _status.State switch
    {
        InstanceState.Ready or InstanceState.Finished => "Healthy",
        InstanceState.Running => "Unhealthy",
        InstanceState.Restarting or InstanceState.Failed => "Unhealthy",
        _ => "Unknown",
    };

    public void Set(InstanceStatus status)
    {
        _status = status;
        notifications.PublishUpdateAsync(Resource, Id, previous => previous with
        {
            State = status.State switch
            {
                InstanceState.Waiting => KnownResourceStates.Waiting,
                InstanceState.Starting => KnownResourceStates.Starting,
                InstanceState.Running or InstanceState.Ready => KnownResourceStates.Running,
                InstanceState.Failed => KnownResourceStates.FailedToStart,
                InstanceState.Finished => KnownResourceStates.Finished,
                _ => KnownResourceStates.Exited,
            },
            HealthStatus = status.State switch
            {
                InstanceState.Ready => HealthStatus.Healthy,
                InstanceState.Running => HealthStatus.Unhealthy,
                _ => null,
            },
            ExitCode = status.ExitCode,
            StartTimeStamp = status.StartedAt?.UtcDateTime,
            Urls = [.. Endpoints.Select(endpoint => new UrlSnapshot(endpoint.Key, endpoint.Value.UriString, false))],
            Properties =
            [
                new("executable.pid", status.ProcessId),
                new("project.path", Resource.Annotations.OfType<IProjectMetadata>().FirstOrDefault()?.ProjectPath),
                new("resource.restarts", status.Restarts),
            ],
        });
    }
}
