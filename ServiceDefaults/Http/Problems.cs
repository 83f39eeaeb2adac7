using System.Diagnostics;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.ServiceDefaults.Http;

/// <summary>RFC 9457 problem details with stable types (<c>urn:fleet:problem:…</c>) and the trace id a person can quote.</summary>
public static class Problems
{
    public const string TypePrefix = "urn:fleet:problem:";

    /// <param name="slug">Stable name of the error, kebab-case; clients may branch on it.</param>
    /// <param name="detail">What happened and what to do, for a person. No stack, no SQL, no secrets.</param>
    public static ProblemHttpResult Create(int status, string slug, string title, string? detail = null,
        IDictionary<string, object?>? extensions = null) =>
        TypedResults.Problem(detail, statusCode: status, title: title, type: TypePrefix + slug, extensions: extensions);

    public static ProblemHttpResult NotFound(string what) =>
        Create(StatusCodes.Status404NotFound, "not-found", "Not found", $"There is no such {what}, or it is not yours.");

    internal static IServiceCollection AddFleetProblems(this IServiceCollection services)
    {
        services.AddExceptionHandler<BadRequestExceptionHandler>();
        // In every environment, so that the handler can name the field.
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        return services.AddProblemDetails(options => options.CustomizeProblemDetails = Complete);
    }

    private static void Complete(ProblemDetailsContext context)
    {
        var problem = context.ProblemDetails;
        problem.Extensions["traceId"] = Activity.Current?.TraceId.ToString() ?? context.HttpContext.TraceIdentifier;
        if (problem.Type?.StartsWith(TypePrefix, StringComparison.Ordinal) == true) return;

        var status = problem.Status ?? context.HttpContext.Response.StatusCode;
        if (problem is HttpValidationProblemDetails validation)
        {
            problem.Type = TypePrefix + "validation";
            problem.Title = "The request has invalid fields";
            validation.Errors = validation.Errors.ToDictionary(error => JsonPath(error.Key), error => error.Value);
            return;
        }

        var reason = ReasonPhrases.GetReasonPhrase(status);
        problem.Type = TypePrefix + (reason.Length == 0 ? "error" : reason.ToLowerInvariant().Replace(' ', '-').Replace("'", "", StringComparison.Ordinal));
        if (status == StatusCodes.Status500InternalServerError)
            problem.Detail = "Something went wrong on our side. Quote the trace id to the operator.";
    }

    // The validation source generator names C# properties; clients know the JSON fields ("items[0].name").
    private static string JsonPath(string path) =>
        string.Join('.', path.Split('.').Select(System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName));

    /// <summary>Malformed JSON, wrong types and oversized bodies are the caller's error, not ours, and are said as such.</summary>
    private sealed class BadRequestExceptionHandler(IProblemDetailsService problemDetails) : IExceptionHandler
    {
        public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
        {
            if (exception is not BadHttpRequestException bad) return false;

            httpContext.Response.StatusCode = bad.StatusCode;
            var field = bad.InnerException is System.Text.Json.JsonException { Path: { Length: > 2 } path } ? path[2..] : null;
            return await problemDetails.TryWriteAsync(new ProblemDetailsContext
            {
                HttpContext = httpContext,
                ProblemDetails = new ProblemDetails
                {
                    Status = bad.StatusCode,
                    Title = bad.StatusCode == StatusCodes.Status413PayloadTooLarge ? "The request body is too large" : "The request could not be read",
                    Type = TypePrefix + (bad.StatusCode == StatusCodes.Status413PayloadTooLarge ? "too-large" : "malformed-request"),
                    Detail = field is null ? null : $"The value of '{field}' is missing or has the wrong type.",
                },
            }).ConfigureAwait(false);
        }
    }
}
