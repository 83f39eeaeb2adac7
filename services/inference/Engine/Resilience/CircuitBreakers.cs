using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Resilience;

/// <summary>All circuits of this process: one per model that was called and one per upstream. Thread-safe.</summary>
internal sealed partial class CircuitBreakers
{
    public const string MeterName = "Fleet.Inference.Circuits";

    private readonly ConcurrentDictionary<string, CircuitBreaker> _circuits = new(StringComparer.Ordinal);
    private readonly CircuitOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<CircuitBreakers> _logger;
    private readonly Counter<long> _changes;

    public CircuitBreakers(IOptions<CircuitOptions> options, IMeterFactory meters, TimeProvider time, ILogger<CircuitBreakers> logger)
    {
        (_options, _time, _logger) = (options.Value, time, logger);
        var meter = meters.Create(MeterName);
        _changes = meter.CreateCounter<long>("fleet.inference.circuit.changes", "{change}", "Circuits that changed their state, by the new state (ours)");
        meter.CreateObservableGauge("fleet.inference.circuit.open", () => _circuits.Values.Select(circuit =>
            new Measurement<int>(circuit.Snapshot().State == CircuitState.Closed ? 0 : 1, new KeyValuePair<string, object?>("fleet.circuit", circuit.Name))),
            description: "1 while a circuit is not closed (ours)");
    }

    public IReadOnlyList<CircuitSnapshot> List() =>
        [.. _circuits.Values.Select(circuit => circuit.Snapshot()).OrderBy(circuit => circuit.Name, StringComparer.Ordinal)];

    /// <summary>Leave to call a model, and its upstream when it is remote.</summary>
    /// <param name="upstream">Empty = the model runs here.</param>
    /// <exception cref="EngineException">One of the circuits is open.</exception>
    public CircuitCall Enter(string model, string upstream)
    {
        // The upstream first: while it is away its models' trials would be wasted on it.
        var outer = upstream.Length > 0 ? Enter($"upstream:{upstream}") : ((CircuitBreaker, CircuitPass)?)null;
        try
        {
            return new CircuitCall(Enter($"model:{model}"), outer);
        }
        catch (EngineException)
        {
            outer?.Item1.Report(outer.Value.Item2, CallOutcome.Unknown);
            throw;
        }
    }

    private (CircuitBreaker Circuit, CircuitPass Pass) Enter(string name)
    {
        var circuit = _circuits.GetOrAdd(name, static (name, self) => new CircuitBreaker(name, self._options, self._time, self.OnChanged), this);
        return circuit.TryEnter(out var pass, out var retryAfter)
            ? (circuit, pass)
            : throw new EngineException(EngineError.Unavailable, $"The circuit {name} is open after repeated failures.") { RetryAfter = retryAfter };
    }

    private void OnChanged(CircuitState before, CircuitSnapshot circuit)
    {
        _changes.Add(1, new("fleet.circuit", circuit.Name), new("fleet.circuit.state", circuit.State.ToString()));
        switch (circuit.State)
        {
            case CircuitState.Open:
                Log.Opened(_logger, circuit.Name, circuit.ConsecutiveFailures, circuit.LastError, _options.OpenFor.TotalSeconds);
                break;
            case CircuitState.HalfOpen:
                Log.HalfOpened(_logger, circuit.Name);
                break;
            default:
                Log.Closed(_logger, circuit.Name, before);
                break;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Circuit {Circuit} opened after {Failures} failures in a row, the last {Error}; next try in {Seconds} s")]
        public static partial void Opened(ILogger logger, string circuit, int failures, string error, double seconds);

        [LoggerMessage(Level = LogLevel.Information, Message = "Circuit {Circuit} lets trials through")]
        public static partial void HalfOpened(ILogger logger, string circuit);

        [LoggerMessage(Level = LogLevel.Information, Message = "Circuit {Circuit} closed; it was {Before}")]
        public static partial void Closed(ILogger logger, string circuit, CircuitState before);
    }
}

/// <summary>One call's leave from its model's circuit and, when remote, its upstream's. The first report counts; disposing without one says nothing.</summary>
internal sealed class CircuitCall((CircuitBreaker Circuit, CircuitPass Pass) model, (CircuitBreaker Circuit, CircuitPass Pass)? upstream) : IDisposable
{
    private bool _reported;

    public void Succeeded() => Report(CallOutcome.Succeeded, CallOutcome.Succeeded, "");

    /// <summary>Counts what the target is to blame for, and only that.</summary>
    public void Failed(Exception exception)
    {
        var (outcome, upstreamOutcome) = exception switch
        {
            OperationCanceledException => (CallOutcome.Unknown, CallOutcome.Unknown),

            // An upstream without this model works for its other models.
            EngineException { Error: EngineError.ModelNotFound } => (CallOutcome.Failed, CallOutcome.Unknown),
            EngineException { Error: EngineError.Unavailable or EngineError.Internal } => (CallOutcome.Failed, CallOutcome.Failed),
            EngineException => (CallOutcome.Unknown, CallOutcome.Unknown),
            _ => (CallOutcome.Failed, CallOutcome.Failed),
        };
        Report(outcome, upstreamOutcome, exception is EngineException engine ? engine.Error.ToString() : exception.GetType().Name);
    }

    public void Dispose() => Report(CallOutcome.Unknown, CallOutcome.Unknown, "");

    private void Report(CallOutcome ofModel, CallOutcome ofUpstream, string error)
    {
        if (Interlocked.Exchange(ref _reported, true))
            return;

        model.Circuit.Report(model.Pass, ofModel, error);
        upstream?.Circuit.Report(upstream.Value.Pass, ofUpstream, error);
    }
}
