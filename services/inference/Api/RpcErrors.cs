using System.Globalization;
using Fleet.Inference.Engine;
using Grpc.Core;

namespace Fleet.Inference.Api;

/// <summary>The one place where what the engine refuses becomes a gRPC status with its trailers (see the proto's head).</summary>
internal static class RpcErrors
{
    public static RpcException ToRpcException(this EngineException exception)
    {
        var trailers = new Metadata();
        if (exception.RetryAfter is { } retryAfter)
            Add("fleet-retry-after-ms", (long)retryAfter.TotalMilliseconds);
        if (exception.Error == EngineError.QueueFull)
        {
            Add("fleet-queued", exception.Queued);
            Add("fleet-running", exception.Running);
        }

        return new RpcException(new Status(CodeOf(exception.Error), exception.Message), trailers);

        void Add(string name, long value) => trailers.Add(name, value.ToString(CultureInfo.InvariantCulture));
    }

    public static StatusCode CodeOf(EngineError error) => error switch
    {
        EngineError.InvalidRequest => StatusCode.InvalidArgument,
        EngineError.ModelNotFound => StatusCode.NotFound,
        EngineError.NotSupported => StatusCode.FailedPrecondition,
        EngineError.QueueFull => StatusCode.ResourceExhausted,
        EngineError.Unavailable => StatusCode.Unavailable,
        EngineError.DeadlineExceeded => StatusCode.DeadlineExceeded,
        _ => StatusCode.Internal,
    };

    /// <summary>A cancelled call ended by its deadline says so; both leave nothing running.</summary>
    public static RpcException Cancelled(ServerCallContext context, TimeProvider time) =>
        context.Deadline <= time.GetUtcNow().UtcDateTime
            ? new RpcException(new Status(StatusCode.DeadlineExceeded, "The deadline passed."))
            : new RpcException(new Status(StatusCode.Cancelled, "The caller cancelled."));
}
