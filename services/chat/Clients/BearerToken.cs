namespace Fleet.Chat.Clients;

/// <summary>The caller's own token, handed on to knowledge. It is validated before any endpoint sees the request.</summary>
internal static class BearerToken
{
    private const string Scheme = "Bearer ";
    private const string SubprotocolPrefix = "bearer.";

    /// <summary>From the Authorization header, or from a WebSocket's subprotocols, where a browser can put it.</summary>
    public static string? Of(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : FromSubprotocols(request);
    }

    /// <summary>The token in <c>Sec-WebSocket-Protocol: fleet.v1, bearer.{jwt}</c>.</summary>
    public static string? FromSubprotocols(HttpRequest request) =>
        request.Headers.SecWebSocketProtocol
            .SelectMany(value => (value ?? "").Split(',', StringSplitOptions.TrimEntries))
            .FirstOrDefault(protocol => protocol.StartsWith(SubprotocolPrefix, StringComparison.Ordinal))?[SubprotocolPrefix.Length..];
}
