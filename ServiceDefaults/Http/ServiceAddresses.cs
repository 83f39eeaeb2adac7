using Microsoft.Extensions.Configuration;

namespace Fleet.ServiceDefaults.Http;

/// <summary>
/// Where the other services are. Reads what Aspire's WithReference (or Kubernetes' environment) provides:
/// <c>services:{name}:{endpoint}:{index}</c>, one index per replica.
/// </summary>
public sealed class ServiceAddresses(IConfiguration configuration)
{
    /// <summary>All replicas of a service's endpoint.</summary>
    /// <exception cref="InvalidOperationException">No address is configured.</exception>
    public IReadOnlyList<Uri> Resolve(string service, string endpoint)
    {
        var addresses = TryResolve(service, endpoint);
        return addresses.Count > 0
            ? addresses
            : throw new InvalidOperationException(
                $"No address is configured for {service}: set services__{service}__{endpoint}__0 (the AppHost does this through WithReference).");
    }

    /// <summary>Like <see cref="Resolve"/>, but empty when none is configured.</summary>
    public IReadOnlyList<Uri> TryResolve(string service, string endpoint) =>
        [.. configuration.GetSection($"services:{service}:{endpoint}").GetChildren()
            .Select(child => child.Value)
            .Where(value => !string.IsNullOrWhiteSpace(value))
            .Select(value => new Uri(value!))];
}
