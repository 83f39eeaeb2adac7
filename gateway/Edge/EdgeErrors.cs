using Fleet.Gateway.Routing;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace Fleet.Gateway.Edge;

/// <summary>
/// Gives every failure that has no answer yet a body a client can read. Answers of the services, errors included, pass
/// untouched.
/// </summary>
internal sealed partial class EdgeErrors(RequestDelegate next, ILogger<EdgeErrors> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (BadHttpRequestException exception) when (!context.Response.HasStarted)
        {
            await EdgeProblem.From(exception.StatusCode).WriteAsync(context);
            return;
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            Log.Unhandled(logger, context.Request.Path, exception);
            await EdgeProblem.Internal.WriteAsync(context);
            return;
        }

        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested) return;

        if (context.Features.Get<IForwarderErrorFeature>() is { } failure)
            await Explain(context, failure).WriteAsync(context);
        else if (IsUnexplained(context))
            await EdgeProblem.From(context.Response.StatusCode).WriteAsync(context);
    }

    private EdgeProblem Explain(HttpContext context, IForwarderErrorFeature failure)
    {
        var cluster = context.Features.Get<IReverseProxyFeature>()?.Cluster.Config.ClusterId ?? "unknown";
        var problem = failure switch
        {
            { Error: ForwarderError.NoAvailableDestinations } => EdgeProblem.Unavailable,
            { Error: ForwarderError.RequestTimedOut } => EdgeProblem.Timeout,
            { Exception: { } exception } when ClientsFault(exception) is { } bad => EdgeProblem.From(bad.StatusCode),
            { Error: ForwarderError.RequestBodyClient } => EdgeProblem.From(StatusCodes.Status400BadRequest),
            _ when failure.NeverConnected() => EdgeProblem.Unavailable,
            _ => EdgeProblem.BadGateway,
        };
        if (problem.Status >= StatusCodes.Status500InternalServerError)
            Log.UpstreamFailed(logger, cluster, failure.Error, problem.Status, failure.Exception?.GetType().Name);
        return problem;
    }

    // A body over the limit is only noticed while it is being forwarded when its length was not announced.
    private static BadHttpRequestException? ClientsFault(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause is AggregateException many ? Find(many) : cause.InnerException)
        {
            if (cause is BadHttpRequestException bad) return bad;
        }

        return null;

        static Exception? Find(AggregateException many) =>
            many.InnerExceptions.Select(ClientsFault).FirstOrDefault(found => found is not null) ?? many.InnerException;
    }

    private static bool IsUnexplained(HttpContext context) =>
        context.Response.StatusCode >= StatusCodes.Status400BadRequest
        && context.Response.ContentType is null
        && context.Features.Get<IReverseProxyFeature>()?.ProxiedDestination is null;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "Handling {Path} failed")]
        public static partial void Unhandled(ILogger logger, string path, Exception exception);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Forwarding to {Cluster} failed: {Error} ({Exception}), answered {Status}")]
        public static partial void UpstreamFailed(ILogger logger, string cluster, ForwarderError error, int status, string? exception);
    }
}
