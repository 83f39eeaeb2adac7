namespace Fleet.Gateway.Edge;

/// <summary>
/// Drops headers by which a client could claim to be somebody else or to come from somewhere else. Services believe such
/// headers from the gateway only; YARP sets X-Forwarded-* afresh from the connection.
/// </summary>
internal static class InboundHeaders
{
    private static readonly string[] Prefixes = ["X-Fleet-", "X-Forwarded-", "X-Original-"];

    private static readonly string[] Names =
        ["Forwarded", "X-Real-IP", "X-Client-IP", "X-Client-Cert", "True-Client-IP", "Remote-User", "X-Remote-User", "X-Authenticated-User", "X-Forwarded"];

    public static void Strip(HttpContext context)
    {
        var headers = context.Request.Headers;
        foreach (var name in Names) headers.Remove(name);
        foreach (var name in headers.Keys.Where(IsClaim).ToList()) headers.Remove(name);
    }

    private static bool IsClaim(string name) =>
        Array.Exists(Prefixes, prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
}
