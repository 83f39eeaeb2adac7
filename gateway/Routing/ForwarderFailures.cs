using Yarp.ReverseProxy.Forwarder;

namespace Fleet.Gateway.Routing;

internal static class ForwarderFailures
{
    /// <summary>True when no connection came about, so that the service has not seen a single byte of the request.</summary>
    public static bool NeverConnected(this IForwarderErrorFeature failure) =>
        failure.Exception is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError,
        };
}
