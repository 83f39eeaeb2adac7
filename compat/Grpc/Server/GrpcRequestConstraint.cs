using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Grpc.Server;

/// <summary>Lets the catch-all endpoints see gRPC requests only, so that web pages and APIs beside them are not shadowed.</summary>
internal sealed class GrpcRequestConstraint : IRouteConstraint
{
    public const string Name = "grpcunimplemented";

    public bool Match(
        HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection) =>
        httpContext is not null && GrpcProtocol.IsGrpcContentType(httpContext.Request.ContentType);
}

/// <summary>Proof that AddGrpc was called, and which call mapped the catch-all.</summary>
internal sealed class GrpcServerMarker
{
    private int _claimed;

    public bool ClaimFallback() => Interlocked.Exchange(ref _claimed, 1) == 0;
}
