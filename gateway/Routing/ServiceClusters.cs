using Fleet.ServiceDefaults.Http;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.LoadBalancing;

namespace Fleet.Gateway.Routing;

/// <summary>
/// A cluster is named after its service. Where the replicas are comes from <c>services:{name}:http:{i}</c>, which Aspire and
/// Kubernetes provide; how they are watched and balanced is the same for all.
/// </summary>
internal sealed class ServiceClusters(ServiceAddresses addresses) : IProxyConfigFilter
{
    private static readonly HealthCheckConfig Health = new()
    {
        // With no replica known to be well, trying one is better than refusing: the reports may be some seconds old.
        AvailableDestinationsPolicy = HealthCheckConstants.AvailableDestinations.HealthyOrPanic,
        Active = new ActiveHealthCheckConfig
        {
            Enabled = true,
            Path = "/health/ready",
            Policy = HealthCheckConstants.ActivePolicy.ConsecutiveFailures,
            Interval = TimeSpan.FromSeconds(5),
            Timeout = TimeSpan.FromSeconds(2),
        },
        Passive = new PassiveHealthCheckConfig
        {
            Enabled = true,
            Policy = HealthCheckConstants.PassivePolicy.TransportFailureRate,
            ReactivationPeriod = TimeSpan.FromSeconds(5),
        },
    };

    public ValueTask<ClusterConfig> ConfigureClusterAsync(ClusterConfig cluster, CancellationToken cancel) =>
        ValueTask.FromResult(cluster with
        {
            LoadBalancingPolicy = LoadBalancingPolicies.PowerOfTwoChoices,
            HealthCheck = Health,
            // The http endpoints speak HTTP/1.1, which WebSockets need too.
            HttpRequest = (cluster.HttpRequest ?? ForwarderRequestConfig.Empty) with
            {
                Version = System.Net.HttpVersion.Version11,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            },
            Destinations = addresses.TryResolve(cluster.ClusterId, "http")
                .Select((address, index) => (address, index))
                .ToDictionary(
                    replica => $"{cluster.ClusterId}-{replica.index}",
                    replica => new DestinationConfig { Address = replica.address.ToString() },
                    StringComparer.OrdinalIgnoreCase),
        });

    public ValueTask<RouteConfig> ConfigureRouteAsync(RouteConfig route, ClusterConfig? cluster, CancellationToken cancel) =>
        ValueTask.FromResult(route);
}
