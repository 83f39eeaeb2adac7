namespace Fleet.Gateway.Edge;

/// <summary>Headers every answer carries, whichever service it came from.</summary>
internal static class SecurityHeaders
{
    /// <summary>
    /// No inline script and no inline style. Emotion (MUI's style engine) adds rules through the object model into style elements
    /// that are empty, and the one hash below is that of an empty text; so neither a nonce nor 'unsafe-inline' is needed.
    /// </summary>
    private const string PagePolicy =
        "default-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data: blob:; "
        + "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    /// <summary>For everything that is not a page: should a browser ever render it, it may do nothing.</summary>
    private const string DataPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox";

    public static void Apply(HttpContext context) => context.Response.OnStarting(static state =>
    {
        var response = (HttpResponse)state;
        var headers = response.Headers;
        var page = response.ContentType?.StartsWith("text/html", StringComparison.OrdinalIgnoreCase) == true
            && !response.HttpContext.Request.Path.StartsWithSegments("/api");
        headers.ContentSecurityPolicy = page ? PagePolicy : DataPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        if (response.HttpContext.Request.IsHttps) headers.StrictTransportSecurity = "max-age=31536000";
        headers.Remove("Server");
        headers.Remove("X-Powered-By");
        return Task.CompletedTask;
    }, context.Response);
}
