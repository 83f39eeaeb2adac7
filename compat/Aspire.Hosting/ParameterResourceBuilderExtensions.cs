using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting;

public static class ParameterResourceBuilderExtensions
{
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, bool secret = false) =>
        builder.AddParameterFromConfiguration(name, $"Parameters:{name}", secret);

    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, string value, bool publishValueAsDefault = false, bool secret = false) =>
        builder.AddParameter(name, () => value, publishValueAsDefault, secret);

    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, Func<string> valueGetter, bool publishValueAsDefault = false, bool secret = false) =>
        builder.AddResource(new ParameterResource(name, valueGetter, secret));

    /// <summary>The configured value (<c>Parameters:name</c>) or the default; a persisted one is kept, mode 600, in <c>secrets/</c> of the state directory.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret = false, bool persist = false) =>
        builder.AddResource(new ParameterResource(
            name,
            () => builder.Configuration[$"Parameters:{name}"] ?? (persist ? Persisted(builder, name, value) : value.GetDefaultValue()),
            secret));

    private static string Persisted(IDistributedApplicationBuilder builder, string name, ParameterDefault value)
    {
        var state = builder.Configuration["Fleet:StateDirectory"] ?? Path.GetFullPath("../.fleet", builder.AppHostDirectory);
        var file = Path.Combine(Directory.CreateDirectory(Path.Combine(state, "secrets")).FullName, name);
        if (File.Exists(file))
            return File.ReadAllText(file);

        var generated = value.GetDefaultValue();
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var writer = new StreamWriter(file, options);
        writer.Write(generated);
        return generated;
    }

    public static IResourceBuilder<ParameterResource> AddParameterFromConfiguration(
        this IDistributedApplicationBuilder builder, string name, string configurationKey, bool secret = false) =>
        builder.AddResource(new ParameterResource(
            name,
            () => builder.Configuration[configurationKey] ?? throw new DistributedApplicationException(
                $"Parameter resource could not be used because configuration key '{configurationKey}' is missing."),
            secret));

    public static IResourceBuilder<IResourceWithConnectionString> AddConnectionString(
        this IDistributedApplicationBuilder builder, string name, string? environmentVariableName = null) =>
        builder.AddResource(new ConnectionStringParameterResource(
            name,
            () => builder.Configuration.GetConnectionString(name) ?? throw new DistributedApplicationException(
                $"Connection string parameter resource could not be used because connection string '{name}' is missing."),
            environmentVariableName));
}

public static class ExecutableResourceBuilderExtensions
{
    public static IResourceBuilder<ExecutableResource> AddExecutable(
        this IDistributedApplicationBuilder builder, string name, string command, string workingDirectory, params string[]? args) =>
        builder.AddResource(new ExecutableResource(name, command, Path.GetFullPath(workingDirectory, builder.AppHostDirectory)))
            .WithArgs(args ?? []);
}
