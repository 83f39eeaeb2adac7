using Aspire.Hosting.Orchestration;

namespace Aspire.Hosting.ApplicationModel;

public sealed class ExecuteCommandResult
{
    public required bool Success { get; init; }

    public bool Canceled { get; init; }

    public string? ErrorMessage { get; init; }
}

/// <summary>Starts, stops and restarts single resources of a running fleet (<see cref="KnownResourceCommands"/>).</summary>
public class ResourceCommandService
{
    private readonly FleetOrchestrator _orchestrator;

    internal ResourceCommandService(FleetOrchestrator orchestrator) => _orchestrator = orchestrator;

    public Task<ExecuteCommandResult> ExecuteCommandAsync(IResource resource, string commandName, CancellationToken cancellationToken = default) =>
        ExecuteCommandAsync(resource.Name, commandName, cancellationToken);

    public async Task<ExecuteCommandResult> ExecuteCommandAsync(string resourceId, string commandName, CancellationToken cancellationToken = default)
    {
        var supervisors = _orchestrator.FindSupervisors(resourceId);
        if (supervisors.Count == 0)
            return new ExecuteCommandResult { Success = false, ErrorMessage = $"Resource '{resourceId}' is not a process of this fleet." };

        if (commandName == KnownResourceCommands.StartCommand)
            supervisors.ForEach(supervisor => supervisor.Start());
        else if (commandName == KnownResourceCommands.StopCommand)
            await Task.WhenAll(supervisors.Select(supervisor => supervisor.StopAsync())).WaitAsync(cancellationToken);
        else if (commandName == KnownResourceCommands.RestartCommand)
            await Task.WhenAll(supervisors.Select(supervisor => supervisor.RestartAsync())).WaitAsync(cancellationToken);
        else
            return new ExecuteCommandResult { Success = false, ErrorMessage = $"Command '{commandName}' not available for resource '{resourceId}'." };
        return new ExecuteCommandResult { Success = true };
    }
}
