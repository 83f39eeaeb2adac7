using Microsoft.AspNetCore.Http;

namespace Duende.IdentityServer.Endpoints;

/// <summary>The parameters of a protocol request; a parameter sent twice is an error (RFC 6749, section 3.2).</summary>
internal sealed class ProtocolForm(IFormCollection form)
{
    private const int MaxValueLength = 4096;

    /// <summary>The value, or null when absent or empty: the standard treats both alike.</summary>
    public string? this[string name] => form.TryGetValue(name, out var values) && values is [{ Length: > 0 } value] ? value : null;

    /// <summary>Reads the form, or says what is wrong with the request.</summary>
    public static async Task<(ProtocolForm? Form, OAuthError? Error)> ReadAsync(HttpContext context)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST";
            return (null, new OAuthError("invalid_request", "The method must be POST.", StatusCodes.Status405MethodNotAllowed));
        }

        if (!context.Request.HasFormContentType)
            return (null, new OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded."));

        IFormCollection form;
        try
        {
            form = await context.Request.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is InvalidDataException or BadHttpRequestException or IOException)
        {
            return (null, new OAuthError("invalid_request", "The form could not be read."));
        }

        if (form.FirstOrDefault(field => field.Value.Count > 1 || field.Value.ToString().Length > MaxValueLength).Key is { } bad)
            return (null, new OAuthError("invalid_request", $"The parameter '{Printable(bad)}' is repeated or too long."));

        return (new ProtocolForm(form), null);
    }

    private static string Printable(string name) => string.Concat(name.Where(char.IsAsciiLetterOrDigit).Take(40));
}
