using Yarp.ReverseProxy.Forwarder;

namespace Fleet.Gateway.Routing;

/// <summary>
/// Sends a request to another replica when that cannot do it twice: no connection came about, or the method only reads and no
/// answer had begun. Everything else is the caller's to repeat.
/// </summary>
internal sealed partial class SafeRetry(RequestDelegate next, ILogger<SafeRetry> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var proxy = context.GetReverseProxyFeature();
        // Load balancing narrows the list down to the one it picked.
        var left = proxy.AvailableDestinations.ToList();
        await next(context);

        while (IsSafe(context) && proxy.ProxiedDestination is { } failed && left.Remove(failed) && left.Count > 0)
        {
            Log.Retrying(logger, proxy.Cluster.Config.ClusterId, failed.DestinationId);
            context.Features.Set<IForwarderErrorFeature>(null);
            context.Response.StatusCode = StatusCodes.Status200OK;
            proxy.ProxiedDestination = null;
            proxy.AvailableDestinations = [.. left];
            await next(context);
        }
    }

    private static bool IsSafe(HttpContext context)
    {
        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested) return false;
        if (context.Features.Get<IForwarderErrorFeature>() is not { } failure) return false;

        var reads = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        return failure.NeverConnected() || (failure.Error == ForwarderError.Request && reads);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "{Destination} of {Cluster} could not be reached; trying another replica")]
        public static partial void Retrying(ILogger logger, string cluster, string destination);
    }
}
