using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine.Resilience;
using CircuitState = Fleet.Contracts.Inference.V1.CircuitState;

namespace Fleet.Inference.Api;

internal static class CircuitMessages
{
    public static Circuit ToMessage(this CircuitSnapshot circuit) => new()
    {
        Name = circuit.Name,
        State = circuit.State switch
        {
            Engine.Resilience.CircuitState.Open => CircuitState.Open,
            Engine.Resilience.CircuitState.HalfOpen => CircuitState.HalfOpen,
            _ => CircuitState.Closed,
        },
        ConsecutiveFailures = circuit.ConsecutiveFailures,
        TrialSuccesses = circuit.TrialSuccesses,
        OpenedUnixMilliseconds = circuit.OpenedAt?.ToUnixTimeMilliseconds() ?? 0,
        RetryAfterMs = (long)Math.Ceiling(circuit.RetryAfter.TotalMilliseconds),
        LastError = circuit.LastError,
    };
}
