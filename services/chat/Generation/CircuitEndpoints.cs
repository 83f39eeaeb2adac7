using Fleet.Chat.Clients;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;

namespace Fleet.Chat.Generation;

/// <summary>Which models and upstreams are left alone because they failed: why an answer comes from another model, or not at all.</summary>
internal static class CircuitEndpoints
{
    public static void MapCircuits(this IEndpointRouteBuilder endpoints)
    {
        var circuits = endpoints.MapGroup("/api/v1/circuit-breaker").WithTags("Generation").RequireAuthorization(FleetPolicies.User);
        circuits.MapGet("status", StatusAsync).WithName("GetCircuitBreakerStatus").WithSummary("Every circuit with its state, failures and next try");
    }

    private static async Task<IResult> StatusAsync(InferenceClient inference, TimeProvider time, HttpContext http, CancellationToken cancellationToken)
    {
        try
        {
            var circuits = await inference.ListCircuitsAsync(cancellationToken).ConfigureAwait(false);
            var now = time.GetUtcNow();
            return TypedResults.Ok(new CursorPage<CircuitResponse>([.. circuits.Select(circuit => CircuitResponse.Of(circuit.Circuit, circuit.Replica, now))], null));
        }
        catch (GenerationException exception)
        {
            if (exception.RetryAfter is { } retryAfter)
                http.Response.Headers.RetryAfter = Math.Ceiling(retryAfter.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
            return Problems.Create(exception.Status, exception.Type, exception.Title);
        }
    }
}

/// <param name="Name">model:&lt;id&gt; or upstream:&lt;name&gt;.</param>
/// <param name="State">closed, open or half-open.</param>
/// <param name="Failures">In a row.</param>
/// <param name="TrialSuccesses">While half open: so far, of those needed to close.</param>
/// <param name="NextTry">While open: when a call is let through again.</param>
/// <param name="LastError">Kind of the last failure.</param>
/// <param name="Replica">Each replica of inference keeps its own circuits; counted from 1.</param>
internal sealed record CircuitResponse(
    string Name, string State, int Failures, int TrialSuccesses, DateTimeOffset? OpenedAt, DateTimeOffset? NextTry, string? LastError, int Replica)
{
    public static CircuitResponse Of(Circuit circuit, int replica, DateTimeOffset now) => new(
        circuit.Name,
        circuit.State switch
        {
            CircuitState.Open => "open",
            CircuitState.HalfOpen => "half-open",
            _ => "closed",
        },
        circuit.ConsecutiveFailures,
        circuit.TrialSuccesses,
        circuit.OpenedUnixMilliseconds > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(circuit.OpenedUnixMilliseconds) : null,
        circuit.State == CircuitState.Open ? now.AddMilliseconds(circuit.RetryAfterMs) : null,
        circuit.LastError.Length > 0 ? circuit.LastError : null,
        replica);
}
