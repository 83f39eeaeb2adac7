using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>Who waits for whom. Start order follows it, stop order is its reverse.</summary>
internal sealed class Dependencies
{
    private readonly IReadOnlyCollection<IResource> _resources;

    public Dependencies(IReadOnlyCollection<IResource> resources)
    {
        _resources = resources;
        foreach (var resource in resources)
            RefuseCycle(resource, []);
    }

    public static IEnumerable<WaitAnnotation> Of(IResource resource)
    {
        foreach (var wait in resource.Annotations.OfType<WaitAnnotation>())
            yield return wait;
        if (resource is IResourceWithParent { Parent: var parent })
            yield return new WaitAnnotation(parent, WaitType.WaitUntilHealthy);
    }

    public IEnumerable<IResource> DependentsOf(IResource resource) =>
        _resources.Where(other => Of(other).Any(wait => ReferenceEquals(wait.Resource, resource)));

    public static async Task WaitAsync(IResource resource, ResourceNotificationService notifications, CancellationToken cancellationToken)
    {
        foreach (var wait in Of(resource))
        {
            switch (wait.WaitType)
            {
                case WaitType.WaitUntilStarted:
                    await notifications.WaitForResourceAsync(wait.Resource.Name, KnownResourceStates.Running, cancellationToken);
                    break;
                case WaitType.WaitForCompletion:
                    await notifications.WaitForResourceAsync(
                        wait.Resource.Name,
                        update => KnownResourceStates.TerminalStates.Contains(update.Snapshot.State?.Text) && update.Snapshot.ExitCode == wait.ExitCode,
                        cancellationToken);
                    break;
                default:
                    await notifications.WaitForResourceHealthyAsync(wait.Resource.Name, cancellationToken);
                    break;
            }
        }
    }

    private static void RefuseCycle(IResource resource, HashSet<IResource> path)
    {
        if (!path.Add(resource))
            throw new DistributedApplicationException($"Resources wait for each other in a circle: {string.Join(" -> ", path.Select(step => step.Name))} -> {resource.Name}.");
        foreach (var wait in Of(resource))
            RefuseCycle(wait.Resource, path);
        path.Remove(resource);
    }
}
