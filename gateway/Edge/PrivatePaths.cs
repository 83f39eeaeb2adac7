namespace Fleet.Gateway.Edge;

/// <summary>
/// What is never served to the outside: metrics (the gateway's own are on the Kestrel endpoint named <c>management</c>, where
/// there is one) and gRPC, which belongs between services.
/// </summary>
internal sealed class PrivatePaths(IConfiguration configuration)
{
    private readonly int? _managementPort =
        configuration["Kestrel:Endpoints:management:Url"] is { Length: > 0 } url ? BindingAddress.Parse(url).Port : null;

    public bool Hides(HttpContext context) =>
        (context.Request.Path.StartsWithSegments("/metrics") && context.Connection.LocalPort != _managementPort)
        || context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;
}
