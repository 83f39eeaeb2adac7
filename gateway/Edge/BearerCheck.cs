using Microsoft.AspNetCore.Authentication;
using Yarp.ReverseProxy.Model;

namespace Fleet.Gateway.Edge;

/// <summary>
/// Refuses a bearer token that is there but not valid, so that no service spends work on it. No token passes: whether a route
/// needs one is the service's decision. A valid one travels on as it is.
/// </summary>
internal sealed partial class BearerCheck(RequestDelegate next, ILogger<BearerCheck> logger)
{
    /// <summary>
    /// Route metadata: signing in and refreshing must work for a client that still sends the token that ran out.
    /// </summary>
    private const string IgnoredBy = "IgnoreBearer";

    public async Task InvokeAsync(HttpContext context)
    {
        if (HasBearer(context.Request) && !IsIgnored(context) && !await IsAcceptableAsync(context))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer error=\"invalid_token\"";
            await EdgeProblem.InvalidToken.WriteAsync(context);
            return;
        }

        await next(context);
    }

    private async Task<bool> IsAcceptableAsync(HttpContext context)
    {
        try
        {
            return (await context.AuthenticateAsync()).Failure is null;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Auth's keys cannot be had just now. Services validate too, and most hold the keys already.
            Log.KeysUnavailable(logger, exception);
            return true;
        }
    }

    private static bool HasBearer(HttpRequest request) =>
        request.Headers.Authorization.ToString().StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase);

    private static bool IsIgnored(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>()?.Config.Metadata?.ContainsKey(IgnoredBy) == true;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Tokens cannot be checked at the edge; passing them on")]
        public static partial void KeysUnavailable(ILogger logger, Exception exception);
    }
}
