using System.Globalization;
using System.Text.Json.Nodes;
using Fleet.Chat.Clients;

namespace Fleet.Chat.OpenAi;

/// <summary>A request the OpenAI-compatible routes refuse, in that API's own terms (openai-wire.md §6).</summary>
internal sealed class OpenAiException(int status, string message, string? param = null, string? code = null, string type = "invalid_request_error",
    TimeSpan? retryAfter = null) : Exception(message)
{
    public int Status { get; } = status;
    public string? Param { get; } = param;
    public TimeSpan? RetryAfter { get; } = retryAfter;

    public static OpenAiException Invalid(string? param, string message) => new(StatusCodes.Status400BadRequest, message, param);

    public static OpenAiException Unsupported(string param, string message) => new(StatusCodes.Status400BadRequest, message, param, "unsupported_parameter");

    public static OpenAiException From(GenerationException failure) => failure.Type switch
    {
        "unknown-model" => new(failure.Status, failure.Title, "model", "model_not_found"),
        "engine-busy" => new(failure.Status, failure.Title, code: "engine_busy", type: "rate_limit_error", retryAfter: failure.RetryAfter),
        _ when failure.Status is >= 400 and < 500 => new(failure.Status, failure.Title, code: failure.Type.Replace('-', '_')),
        _ => new(failure.Status, failure.Title, code: failure.Type.Replace('-', '_'), type: "server_error", retryAfter: failure.RetryAfter),
    };

    public JsonObject ToJson() => Json(Message, type, Param, code);

    public static JsonObject Json(string message, string type, string? param, string? code) => new()
    {
        ["error"] = new JsonObject { ["message"] = message, ["type"] = type, ["param"] = param, ["code"] = code },
    };
}

/// <summary>Writes an <see cref="OpenAiException"/> as the answer, with the retry hints that the SDKs read.</summary>
internal sealed class OpenAiErrorResult(OpenAiException error) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = error.Status;
        if (error.RetryAfter is { } retryAfter)
        {
            response.Headers.RetryAfter = Math.Ceiling(retryAfter.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            response.Headers["retry-after-ms"] = retryAfter.TotalMilliseconds.ToString("F0", CultureInfo.InvariantCulture);
        }

        return response.WriteAsync(error.ToJson(), httpContext.RequestAborted);
    }
}

/// <summary>Errors that no endpoint of ours produced (401, 404, 405, 500 …) look the same under <c>/v1</c>.</summary>
internal sealed class OpenAiProblemWriter : IProblemDetailsWriter
{
    public bool CanWrite(ProblemDetailsContext context) => context.HttpContext.Request.Path.StartsWithSegments("/v1");

    public ValueTask WriteAsync(ProblemDetailsContext context)
    {
        var status = context.ProblemDetails.Status ?? context.HttpContext.Response.StatusCode;
        var (type, code, message) = status switch
        {
            StatusCodes.Status401Unauthorized => ("authentication_error", "invalid_api_key", "The API key or access token is missing, wrong or expired."),
            StatusCodes.Status403Forbidden => ("permission_error", "permission_denied", "This key may not do that."),
            StatusCodes.Status404NotFound => ("invalid_request_error", "unknown_url", "There is no such route."),
            StatusCodes.Status405MethodNotAllowed => ("invalid_request_error", "method_not_allowed", "This route does not take that method."),
            >= 500 => ("server_error", "internal_error", "Something went wrong on our side."),
            _ => ("invalid_request_error", "invalid_request", context.ProblemDetails.Detail ?? context.ProblemDetails.Title ?? "The request is not valid."),
        };
        return new ValueTask(context.HttpContext.Response.WriteAsync(OpenAiException.Json(message, type, null, code), context.HttpContext.RequestAborted));
    }
}

internal static class JsonResponse
{
    /// <summary>Writes a node as the whole body.</summary>
    public static Task WriteAsync(this HttpResponse response, JsonObject json, CancellationToken cancellationToken)
    {
        response.ContentType = "application/json; charset=utf-8";
        return response.WriteAsync(json.ToJsonString(OpenAiJson.Options), cancellationToken);
    }
}
