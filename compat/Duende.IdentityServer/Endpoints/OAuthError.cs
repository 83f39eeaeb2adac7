using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Duende.IdentityServer.Endpoints;

/// <summary>An error of RFC 6749, section 5.2.</summary>
internal sealed record OAuthError(string Code, string? Description = null, int Status = StatusCodes.Status400BadRequest)
{
    public static readonly OAuthError InvalidClient = new("invalid_client");

    public Task WriteAsync(HttpContext context)
    {
        if (Status == StatusCodes.Status401Unauthorized)
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"token\"";

        context.Response.StatusCode = Status;
        var body = new Dictionary<string, object> { ["error"] = Code };
        if (Description is not null)
            body["error_description"] = Description;

        return JsonResponse.WriteAsync(context, body);
    }
}

/// <summary>JSON that no cache may keep (RFC 6749, section 5.1).</summary>
internal static class JsonResponse
{
    public static Task WriteAsync(HttpContext context, IReadOnlyDictionary<string, object> body)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.Pragma = "no-cache";
        return context.Response.WriteAsJsonAsync(body, (JsonSerializerOptions?)null, context.RequestAborted);
    }
}
