using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>What the generated <c>Projects.*</c> classes tell about a referenced project.</summary>
public interface IProjectMetadata : IResourceAnnotation
{
    string ProjectPath { get; }

    bool SuppressBuild => false;

    bool IsFileBasedApp => false;
}

public interface IResourceWithServiceDiscovery : IResourceWithEndpoints;

internal sealed class ProjectPathMetadata(string projectPath) : IProjectMetadata
{
    public string ProjectPath { get; } = projectPath;
}
