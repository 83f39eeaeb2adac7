using System.Diagnostics;
using System.Diagnostics.Metrics;
using Fleet.Inference.Engine;

namespace Fleet.Inference.Telemetry;

/// <summary>
/// The service's instruments. gen_ai.* names follow OpenTelemetry's semantic conventions for generative AI;
/// fleet.inference.* are our own.
/// </summary>
internal sealed class InferenceMetrics
{
    public const string MeterName = "Fleet.Inference";

    private static readonly double[] SecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

    private readonly Histogram<long> _tokens;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _timeToFirstToken;
    private readonly Histogram<double> _timePerToken;
    private readonly Histogram<double> _queue;
    private readonly Counter<long> _fallBacks;

    public InferenceMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _tokens = meter.CreateHistogram<long>("gen_ai.client.token.usage", "{token}", "Tokens used, by gen_ai.token.type");
        _duration = Seconds("gen_ai.server.request.duration", "From arrival to the last token");
        _timeToFirstToken = Seconds("gen_ai.server.time_to_first_token", "From arrival to the first token");
        _timePerToken = Seconds("gen_ai.server.time_per_output_token", "Between tokens after the first");
        _queue = Seconds("fleet.inference.queue.duration", "Waiting for a slot (ours)");
        _fallBacks = meter.CreateCounter<long>("fleet.inference.fallbacks", "{request}", "Requests that went on to the next model of their chain (ours)");

        Histogram<double> Seconds(string name, string description) =>
            meter.CreateHistogram(name, "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = SecondsBuckets });
    }

    public Generation StartGeneration(string model, TimeProvider time) => new(this, model, time);

    public void Embedded(string model, int tokens, TimeSpan duration)
    {
        var tags = Tags("embeddings", model);
        _duration.Record(duration.TotalSeconds, tags);
        tags.Add("gen_ai.token.type", "input");
        _tokens.Record(tokens, tags);
    }

    public void FellBack(string from, string to) => _fallBacks.Add(1, new("gen_ai.request.model", from), new("gen_ai.response.model", to));

    private static TagList Tags(string operation, string model) => new()
    {
        { "gen_ai.operation.name", operation },
        { "gen_ai.provider.name", "fleet" },
        { "gen_ai.request.model", model },
    };

    /// <summary>Measures one reply from arrival to its end, however it ends.</summary>
    internal sealed class Generation(InferenceMetrics metrics, string model, TimeProvider time) : IDisposable
    {
        private readonly long _arrived = time.GetTimestamp();
        private string? _error;
        private bool _finished;

        public void Observe(GenerationEvent generationEvent)
        {
            if (generationEvent is not GenerationFinished finished)
                return;

            _finished = true;
            var tags = Tags("chat", model);
            metrics._queue.Record(finished.Timings.Queued.TotalSeconds, tags);
            metrics._timeToFirstToken.Record(finished.Timings.TimeToFirstToken.TotalSeconds, tags);
            if (finished.CompletionTokens > 1)
                metrics._timePerToken.Record(finished.Timings.Decode.TotalSeconds / (finished.CompletionTokens - 1), tags);

            var input = tags;
            input.Add("gen_ai.token.type", "input");
            metrics._tokens.Record(finished.PromptTokens, input);
            var output = tags;
            output.Add("gen_ai.token.type", "output");
            metrics._tokens.Record(finished.CompletionTokens, output);
        }

        public void Failed(Exception exception) => _error = exception is EngineException engine ? engine.Error.ToString() : exception.GetType().Name;

        public void Dispose()
        {
            var tags = Tags("chat", model);
            if (_error is not null || !_finished)
                tags.Add("error.type", _error ?? "cancelled");
            metrics._duration.Record(time.GetElapsedTime(_arrived).TotalSeconds, tags);
        }
    }
}
