using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using Yarp.ReverseProxy.Model;

namespace Fleet.Gateway.Edge;

/// <summary>
/// Refuses a bearer token that is there but not valid, so that no service spends work on it. No token passes: whether a route
/// needs one is the service's decision. A valid one travels on as it is.
/// </summary>
internal sealed partial class BearerCheck(RequestDelegate next, IOptionsMonitor<JwtBearerOptions> options, ILogger<BearerCheck> logger)
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
            var result = await context.AuthenticateAsync();
            if (result.Failure is not SecurityTokenSignatureKeyNotFoundException) return result.Succeeded;

            // No key fits: a forgery when the keys are known, no verdict at all when they could not be fetched.
            if (options.Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager is { } keys)
                await keys.GetConfigurationAsync(context.RequestAborted);
            return false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Services validate too, and most hold the keys already.
            Log.KeysUnavailable(logger, exception.Message);
            return true;
        }
    }

    private static bool HasBearer(HttpRequest request)
    {
        var value = request.Headers.Authorization.ToString();
        return value.StartsWith("Bearer", StringComparison.OrdinalIgnoreCase) && (value.Length == 6 || value[6] == ' ');
    }

    private static bool IsIgnored(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>()?.Config.Metadata?.ContainsKey(IgnoredBy) == true;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Tokens cannot be checked at the edge, passing them on: {Reason}")]
        public static partial void KeysUnavailable(ILogger logger, string reason);
    }
}
