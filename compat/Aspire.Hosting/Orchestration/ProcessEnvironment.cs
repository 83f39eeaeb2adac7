using System.Collections;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Orchestration;

/// <summary>Builds what a project or executable finds in its environment: its addresses, its references, telemetry, then what the host's author said.</summary>
internal sealed class ProcessEnvironment(IHostEnvironment host, DistributedApplicationExecutionContext execution)
{
    // What configures the application host must not configure its children by accident.
    private static readonly string[] NotInherited =
        ["ConnectionStrings__", "services__", "Kestrel__", "Fleet__", "AppHost__", "ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS"];

    public async Task<Dictionary<string, string>> BuildAsync(
        ResourceInstance instance, Func<IResource, IReadOnlyList<ResourceInstance>> instancesOf, CancellationToken cancellationToken)
    {
        var environment = Inherited();
        environment["DOTNET_ENVIRONMENT"] = host.EnvironmentName;
        environment["ASPNETCORE_ENVIRONMENT"] = host.EnvironmentName;
        environment["OTEL_SERVICE_NAME"] = instance.Resource.Name;
        environment["OTEL_RESOURCE_ATTRIBUTES"] = environment.TryGetValue("OTEL_RESOURCE_ATTRIBUTES", out var attributes) && attributes.Length > 0
            ? $"{attributes},service.instance.id={instance.Id}"
            : $"service.instance.id={instance.Id}";
        AddAddresses(environment, instance);
        foreach (var reference in instance.Resource.Annotations.OfType<ServiceReferenceAnnotation>())
            AddReference(environment, reference, instancesOf(reference.Target));

        var context = new EnvironmentCallbackContext(execution, instance.Resource, cancellationToken: cancellationToken);
        foreach (var annotation in instance.Resource.Annotations.OfType<EnvironmentCallbackAnnotation>())
            await annotation.Callback(context);
        foreach (var (name, value) in context.EnvironmentVariables)
            environment[name] = await ResolveAsync(value, cancellationToken);
        return environment;
    }

    public static async Task<List<string>> ArgumentsAsync(IResource resource, CancellationToken cancellationToken)
    {
        var context = new CommandLineArgsCallbackContext([], cancellationToken);
        foreach (var annotation in resource.Annotations.OfType<CommandLineArgsCallbackAnnotation>())
            await annotation.Callback(context);
        var arguments = new List<string>(context.Args.Count);
        foreach (var argument in context.Args)
            arguments.Add(await ResolveAsync(argument, cancellationToken));
        return arguments;
    }

    private static void AddAddresses(Dictionary<string, string> environment, ResourceInstance instance)
    {
        var urls = new List<string>();
        foreach (var endpoint in instance.Resource.Annotations.OfType<EndpointAnnotation>())
        {
            var allocated = instance.Endpoints[endpoint.Name];
            var url = $"{endpoint.UriScheme}://{BindHost(endpoint)}:{allocated.Port}";
            if (endpoint.FromKestrelConfiguration)
                environment[$"Kestrel__Endpoints__{endpoint.Name}__Url"] = url;
            else if (endpoint.UriScheme is "http" or "https")
                urls.Add(url);
            if (endpoint.PortVariable is { } variable)
                environment[variable] = allocated.Port.ToString(CultureInfo.InvariantCulture);
        }

        // Kestrel ignores ASPNETCORE_URLS, with a warning, where it has configured endpoints.
        if (urls.Count > 0 && instance.Resource is ProjectResource && !instance.Resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.FromKestrelConfiguration))
            environment["ASPNETCORE_URLS"] = string.Join(';', urls);
    }

    private static void AddReference(
        Dictionary<string, string> environment, ServiceReferenceAnnotation reference, IReadOnlyList<ResourceInstance> replicas)
    {
        for (var index = 0; index < replicas.Count; index++)
        {
            foreach (var (name, endpoint) in replicas[index].Endpoints)
            {
                if (reference.EndpointName is null || string.Equals(reference.EndpointName, name, StringComparison.OrdinalIgnoreCase))
                    environment[$"services__{reference.Name}__{name}__{index}"] = endpoint.UriString;
            }
        }
    }

    // Inside the fleet one address family is enough; what people open binds the host they configured.
    private static string BindHost(EndpointAnnotation endpoint) => endpoint.IsExternal ? endpoint.TargetHost : "127.0.0.1";

    private static async ValueTask<string> ResolveAsync(object value, CancellationToken cancellationToken) => value switch
    {
        string text => text,
        IValueProvider provider => await provider.GetValueAsync(cancellationToken) ?? "",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static Dictionary<string, string> Inherited() => Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
        .Where(entry => !NotInherited.Any(prefix => ((string)entry.Key).StartsWith(prefix, StringComparison.OrdinalIgnoreCase)))
        .ToDictionary(entry => (string)entry.Key, entry => (string?)entry.Value ?? "", StringComparer.Ordinal);
}
