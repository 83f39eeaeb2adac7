using System.Collections.Concurrent;
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
    private readonly Histogram<double> _step;
    private readonly Histogram<double> _occupancy;
    private readonly Counter<long> _computed;
    private readonly ConcurrentDictionary<object, (string Model, Func<EngineGauges> Gauges)> _engines = new();

    public InferenceMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _tokens = meter.CreateHistogram<long>("gen_ai.client.token.usage", "{token}", "Tokens used, by gen_ai.token.type");
        _duration = Seconds("gen_ai.server.request.duration", "From arrival to the last token");
        _timeToFirstToken = Seconds("gen_ai.server.time_to_first_token", "From arrival to the first token");
        _timePerToken = Seconds("gen_ai.server.time_per_output_token", "Between tokens after the first");
        _queue = Seconds("fleet.inference.queue.duration", "Waiting for a slot (ours)");
        _fallBacks = meter.CreateCounter<long>("fleet.inference.fallbacks", "{request}", "Requests that went on to the next model of their chain (ours)");
        _step = Seconds("fleet.inference.step.duration", "One decode; while replies run this is the time between their tokens (ours)");
        _occupancy = meter.CreateHistogram("fleet.inference.batch.occupancy", "1", "Tokens of a decode over what a batch can hold (ours)",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1] });
        _computed = meter.CreateCounter<long>("fleet.inference.computed", "{token}", "Tokens computed, by fleet.phase (ours)");
        Observe("fleet.inference.kv.cells", "{cell}", "Cells of the cache, by fleet.kv.state (ours)", CellsOf);
        Observe("fleet.inference.threads", "{thread}", "Threads the next step computes with (ours)", gauges => [(gauges.DecodeThreads, null, null)]);
        Observe("fleet.inference.preemptions", "{preemption}", "Replies that lost their cells for a while, since the load (ours)", gauges => [(gauges.Preemptions, null, null)]);
        Observe("fleet.inference.prefix.hit_ratio", "1", "Prompt tokens served from the cache, since the load (ours)",
            gauges => [(gauges.PromptTokens == 0 ? 0 : (double)gauges.CachedTokens / gauges.PromptTokens, null, null)]);
        Observe("fleet.inference.tokens_per_second", "{token}/s", "Over the last seconds, by fleet.phase (ours)",
            gauges => [(gauges.PrefillTokensPerSecond, "fleet.phase", "prefill"), (gauges.DecodeTokensPerSecond, "fleet.phase", "decode")]);
        Observe("fleet.inference.draft.accepted_ratio", "1", "Guessed tokens that were right, since the load (ours)",
            gauges => [(gauges.DraftedTokens == 0 ? 0 : (double)gauges.AcceptedTokens / gauges.DraftedTokens, null, null)]);

        Histogram<double> Seconds(string name, string description) =>
            meter.CreateHistogram(name, "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = SecondsBuckets });

        void Observe(string name, string unit, string description, Func<EngineGauges, (double Value, string? Tag, string? Of)[]> read) =>
            meter.CreateObservableGauge(name, () => from engine in _engines.Values
                                                    from entry in read(engine.Gauges())
                                                    select new Measurement<double>(entry.Value, TagsOf(engine.Model, entry.Tag, entry.Of)), unit, description);
    }

    /// <summary>The engine's state is exported until the result is disposed.</summary>
    public IDisposable Observe(string model, Func<EngineGauges> gauges)
    {
        var observed = new Observed(_engines);
        _engines[observed] = (model, gauges);
        return observed;
    }

    /// <summary>A decode has ended. Decode threads call this after every step.</summary>
    public void Stepped(string model, int decodeTokens, int prefillTokens, int batchTokens, TimeSpan taken)
    {
        var tag = new KeyValuePair<string, object?>("gen_ai.request.model", model);
        _step.Record(taken.TotalSeconds, tag);
        _occupancy.Record((double)(decodeTokens + prefillTokens) / batchTokens, tag);
        if (decodeTokens > 0)
            _computed.Add(decodeTokens, tag, new KeyValuePair<string, object?>("fleet.phase", "decode"));
        if (prefillTokens > 0)
            _computed.Add(prefillTokens, tag, new KeyValuePair<string, object?>("fleet.phase", "prefill"));
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

    private static (double, string?, string?)[] CellsOf(EngineGauges gauges) =>
    [
        (gauges.KvCellsUsed - gauges.KvCellsShared - gauges.KvCellsCached, "fleet.kv.state", "private"),
        (gauges.KvCellsShared, "fleet.kv.state", "shared"),
        (gauges.KvCellsCached, "fleet.kv.state", "cached"),
        (gauges.KvCells - gauges.KvCellsUsed, "fleet.kv.state", "free"),
    ];

    private static KeyValuePair<string, object?>[] TagsOf(string model, string? tag, string? value)
    {
        var name = new KeyValuePair<string, object?>("gen_ai.request.model", model);
        return tag is null ? [name] : [name, new KeyValuePair<string, object?>(tag, value)];
    }

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

    private sealed class Observed(ConcurrentDictionary<object, (string, Func<EngineGauges>)> engines) : IDisposable
    {
        public void Dispose() => engines.TryRemove(this, out _);
    }
}
