using Grpc.Server;
using Microsoft.AspNetCore.Http;

namespace Grpc.Core;

public static class ServerCallContextExtensions
{
    /// <summary>The HTTP request under a call; a test's own context may put one into <c>UserState["__HttpContext"]</c>.</summary>
    public static HttpContext GetHttpContext(this ServerCallContext serverCallContext)
    {
        ArgumentNullException.ThrowIfNull(serverCallContext);
        if (serverCallContext is HttpServerCallContext call)
            return call.HttpContext;
        if (serverCallContext.UserState.TryGetValue(HttpServerCallContext.HttpContextKey, out var value) && value is HttpContext httpContext)
            return httpContext;
        throw new InvalidOperationException("The call has no HttpContext.");
    }
}
