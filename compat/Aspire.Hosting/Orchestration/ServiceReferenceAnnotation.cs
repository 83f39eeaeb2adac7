using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>That a process is told where another resource's replicas listen; all its endpoints unless one is named.</summary>
internal sealed record ServiceReferenceAnnotation(IResource Target, string Name, string? EndpointName) : IResourceAnnotation;
