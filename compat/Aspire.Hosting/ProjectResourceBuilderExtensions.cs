using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting;

public class ProjectResourceOptions
{
    public bool ExcludeKestrelEndpoints { get; set; }

    /// <summary>Launch profiles are never read here, so this changes nothing.</summary>
    public bool ExcludeLaunchProfile { get; set; }

    public string? LaunchProfileName { get; set; }
}

public static class ProjectResourceBuilderExtensions
{
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, string name)
        where TProject : IProjectMetadata, new() => Add(builder, name, new TProject(), new ProjectResourceOptions());

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, string name, string? launchProfileName)
        where TProject : IProjectMetadata, new() =>
        Add(builder, name, new TProject(), new ProjectResourceOptions { LaunchProfileName = launchProfileName, ExcludeLaunchProfile = launchProfileName is null });

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(
        this IDistributedApplicationBuilder builder, string name, Action<ProjectResourceOptions> configure)
        where TProject : IProjectMetadata, new()
    {
        var options = new ProjectResourceOptions();
        configure(options);
        return Add(builder, name, new TProject(), options);
    }

    public static IResourceBuilder<ProjectResource> AddProject(this IDistributedApplicationBuilder builder, string name, string projectPath) =>
        Add(builder, name, new ProjectPathMetadata(Path.GetFullPath(projectPath, builder.AppHostDirectory)), new ProjectResourceOptions());

    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        return builder.WithAnnotation(new ReplicaAnnotation(replicas), ResourceAnnotationMutationBehavior.Replace);
    }

    private static IResourceBuilder<ProjectResource> Add<TMetadata>(
        IDistributedApplicationBuilder builder, string name, TMetadata metadata, ProjectResourceOptions options)
        where TMetadata : IProjectMetadata
    {
        if (options.LaunchProfileName is not null)
            throw new NotSupportedException("ProjectResourceOptions.LaunchProfileName");

        var project = builder.AddResource(new ProjectResource(name)).WithAnnotation(metadata);
        if (!options.ExcludeKestrelEndpoints)
        {
            foreach (var endpoint in KestrelEndpoints(metadata.ProjectPath, builder.Environment.EnvironmentName))
                project.WithAnnotation(endpoint);
        }

        return project;
    }

    /// <summary>A project's endpoints are what its own configuration tells Kestrel, as in the real package.</summary>
    private static EndpointAnnotation[] KestrelEndpoints(string projectPath, string environment)
    {
        var directory = Path.GetDirectoryName(projectPath)!;
        if (!Directory.Exists(directory))
            return [];

        var kestrel = new ConfigurationBuilder()
            .SetBasePath(directory)
            .AddJsonFile("appsettings.json", optional: true)
            .AddJsonFile($"appsettings.{environment}.json", optional: true)
            .Build()
            .GetSection("Kestrel");
        var defaultProtocols = kestrel["EndpointDefaults:Protocols"];
        return kestrel.GetSection("Endpoints").GetChildren()
            .Where(endpoint => endpoint["Url"] is not null)
            .Select(endpoint => new EndpointAnnotation(
                ProtocolType.Tcp,
                uriScheme: endpoint["Url"]!.StartsWith("https:", StringComparison.OrdinalIgnoreCase) ? "https" : "http",
                transport: string.Equals(endpoint["Protocols"] ?? defaultProtocols, "Http2", StringComparison.OrdinalIgnoreCase) ? "http2" : "http",
                name: endpoint.Key.ToLowerInvariant())
            {
                FromKestrelConfiguration = true,
            })
            .ToArray();
    }
}
