using System.Diagnostics;
using Fleet.ServiceDefaults.Http;

namespace Fleet.Gateway.Edge;

/// <summary>
/// An error the gateway itself answers with, in the form the caller's route speaks: problem details, or OpenAI's error object
/// under <c>/v1</c>. Both carry the trace id.
/// </summary>
/// <param name="Slug">Stable name, kebab-case: the problem's type, and with underscores OpenAI's code.</param>
/// <param name="RetryAfter">When trying again makes sense.</param>
internal sealed record EdgeProblem(int Status, string Slug, string Title, string? Detail = null, TimeSpan? RetryAfter = null)
{
    public static readonly EdgeProblem NotFound = new(StatusCodes.Status404NotFound, "not-found", "Not found",
        "There is nothing at this address.");

    public static readonly EdgeProblem MethodNotAllowed = new(StatusCodes.Status405MethodNotAllowed, "method-not-allowed",
        "Method not allowed", "This address does not take this method.");

    public static readonly EdgeProblem TooLarge = new(StatusCodes.Status413PayloadTooLarge, "too-large",
        "The request body is too large");

    public static readonly EdgeProblem InvalidToken = new(StatusCodes.Status401Unauthorized, "invalid-token",
        "The access token is not valid", "It has expired or was not issued here. Sign in again or refresh it.");

    public static readonly EdgeProblem BadGateway = new(StatusCodes.Status502BadGateway, "bad-gateway",
        "A service of the fleet broke off", "The request may have been carried out; look before you repeat it.");

    public static readonly EdgeProblem Unavailable = new(StatusCodes.Status503ServiceUnavailable, "service-unavailable",
        "A service of the fleet is not available", "It is starting or restarting. Try again in a moment.", TimeSpan.FromSeconds(2));

    public static readonly EdgeProblem Timeout = new(StatusCodes.Status504GatewayTimeout, "gateway-timeout",
        "A service of the fleet did not answer in time");

    public static readonly EdgeProblem Internal = new(StatusCodes.Status500InternalServerError, "internal-server-error",
        "Something went wrong on our side", "Quote the trace id to the operator.");

    public static EdgeProblem From(int status) => status switch
    {
        StatusCodes.Status404NotFound => NotFound,
        StatusCodes.Status405MethodNotAllowed => MethodNotAllowed,
        StatusCodes.Status413PayloadTooLarge => TooLarge,
        StatusCodes.Status502BadGateway => BadGateway,
        StatusCodes.Status503ServiceUnavailable => Unavailable,
        StatusCodes.Status504GatewayTimeout => Timeout,
        < StatusCodes.Status500InternalServerError => new(status, "malformed-request", "The request could not be read"),
        _ => Internal with { Status = status },
    };

    public Task WriteAsync(HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = Status;
        response.Headers.CacheControl = "no-store";
        if (RetryAfter is { } wait)
            response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString(System.Globalization.CultureInfo.InvariantCulture);

        return context.Request.Path.StartsWithSegments("/v1")
            ? WriteOpenAiAsync(context)
            : Problems.Create(Status, Slug, Title, Detail).ExecuteAsync(context);
    }

    private Task WriteOpenAiAsync(HttpContext context)
    {
        var traceId = Activity.Current?.TraceId.ToString() ?? context.TraceIdentifier;
        context.Response.Headers["x-request-id"] = traceId;
        var type = Status switch
        {
            StatusCodes.Status401Unauthorized => "authentication_error",
            StatusCodes.Status429TooManyRequests => "rate_limit_error",
            < StatusCodes.Status500InternalServerError => "invalid_request_error",
            _ => "server_error",
        };
        var message = Detail is null ? Title + "." : $"{Title}. {Detail}";
        // SDKs read exactly these four; the fifth is for people.
        return context.Response.WriteAsJsonAsync(new
        {
            error = new { message, type, param = (string?)null, code = Slug.Replace('-', '_'), trace_id = traceId },
        }, context.RequestAborted);
    }
}
