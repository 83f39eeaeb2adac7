using System.Reflection;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>Runs projects (their built assembly) and executables.</summary>
internal sealed class CommandLauncher(
    ProcessEnvironment environment, HttpHealth health, Func<IResource, IReadOnlyList<ResourceInstance>> instancesOf, Assembly? appHost) : IInstanceLauncher
{
    private readonly string _configuration =
        (appHost?.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration ?? "Debug").ToLowerInvariant();

    public async Task<LaunchPlan> PrepareAsync(ResourceInstance instance, CancellationToken cancellationToken)
    {
        var arguments = await ProcessEnvironment.ArgumentsAsync(instance.Resource, cancellationToken);
        var variables = await environment.BuildAsync(instance, instancesOf, cancellationToken);
        if (instance.Resource is ExecutableResource executable)
        {
            return new LaunchPlan
            {
                FileName = executable.Command,
                Arguments = arguments,
                WorkingDirectory = executable.WorkingDirectory,
                Environment = variables,
                IsHealthyAsync = health.For(instance),
                MayFinish = true,
            };
        }

        var project = instance.Resource.Annotations.OfType<IProjectMetadata>().Last().ProjectPath;
        return new LaunchPlan
        {
            FileName = DotNet(),
            Arguments = [FindAssembly(project), .. arguments],
            WorkingDirectory = Path.GetDirectoryName(project)!,
            Environment = variables,
            IsHealthyAsync = health.For(instance),
        };
    }

    /// <summary>Output lies in the artifacts layout: <c>artifacts/bin/&lt;project&gt;/&lt;configuration&gt;/</c> somewhere above the project.</summary>
    private string FindAssembly(string projectPath)
    {
        var name = Path.GetFileNameWithoutExtension(projectPath);
        for (var directory = Path.GetDirectoryName(projectPath); directory is not null; directory = Path.GetDirectoryName(directory))
        {
            var assembly = Path.Combine(directory, "artifacts", "bin", name, _configuration, name + ".dll");
            if (File.Exists(assembly))
                return assembly;
        }

        throw new DistributedApplicationException($"{name} is not built ({_configuration}): no artifacts/bin/{name}/{_configuration}/{name}.dll above {projectPath}.");
    }

    private static string DotNet()
    {
        var self = Environment.ProcessPath;
        if (self is not null && Path.GetFileNameWithoutExtension(self) == "dotnet")
            return self;
        var root = Environment.GetEnvironmentVariable("DOTNET_ROOT");
        return string.IsNullOrEmpty(root) ? "dotnet" : Path.Combine(root, "dotnet");
    }
}
