using Grpc.Core;

namespace Fleet.Chat.Clients;

/// <summary>The engine could not answer. Says it once in words that the wire formats translate.</summary>
/// <param name="type">Stable error type, as in <c>ReplyFailed.ErrorType</c>.</param>
/// <param name="status">The HTTP status a waiting caller gets.</param>
/// <param name="title">A sentence for a person.</param>
internal sealed class GenerationException(string type, int status, string title, TimeSpan? retryAfter = null, Exception? inner = null)
    : Exception(title, inner)
{
    public string Type { get; } = type;
    public int Status { get; } = status;
    public string Title { get; } = title;
    public TimeSpan? RetryAfter { get; } = retryAfter;

    /// <summary>Maps the status codes that inference's contract names; everything else is its failure.</summary>
    public static GenerationException From(RpcException failure) => failure.StatusCode switch
    {
        StatusCode.ResourceExhausted => new("engine-busy", StatusCodes.Status429TooManyRequests,
            "All slots are busy. Please try again shortly.", RetryAfterOf(failure) ?? TimeSpan.FromSeconds(1), failure),
        StatusCode.Unavailable => new("model-unavailable", StatusCodes.Status503ServiceUnavailable,
            "The model is not available at the moment.", RetryAfterOf(failure) ?? TimeSpan.FromSeconds(5), failure),
        StatusCode.NotFound => new("unknown-model", StatusCodes.Status404NotFound, "There is no such model.", inner: failure),
        StatusCode.InvalidArgument => new("invalid-request", StatusCodes.Status400BadRequest, failure.Status.Detail, inner: failure),
        StatusCode.FailedPrecondition => new("not-possible-with-model", StatusCodes.Status400BadRequest, failure.Status.Detail, inner: failure),
        StatusCode.DeadlineExceeded => new("timeout", StatusCodes.Status504GatewayTimeout, "The model took too long to answer.", inner: failure),
        _ => new("model-failed", StatusCodes.Status502BadGateway, "The model failed while it was answering.", inner: failure),
    };

    public static TimeSpan? RetryAfterOf(RpcException failure) =>
        int.TryParse(failure.Trailers.GetValue("fleet-retry-after-ms"), out var milliseconds) && milliseconds >= 0
            ? TimeSpan.FromMilliseconds(milliseconds)
            : null;
}
