using System.Diagnostics.Metrics;
using Fleet.Inference.Engine;
using Fleet.Inference.Telemetry;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Inference.Tests.Telemetry;

public sealed class InferenceMetricsTests
{
    [Fact]
    public void Observe_ExportsAnEnginesGauges_UntilItIsDisposed()
    {
        using var provider = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new InferenceMetrics(provider.GetRequiredService<IMeterFactory>());
        var seen = new Dictionary<string, double>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, own) =>
            {
                if (instrument.Meter.Name == InferenceMetrics.MeterName && instrument.IsObservable)
                    own.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
            seen[instrument.Name + string.Concat(tags.ToArray().Where(tag => tag.Key.StartsWith("fleet.", StringComparison.Ordinal)).Select(tag => $"/{tag.Value}"))] = value);
        listener.Start();
        var gauges = new EngineGauges { KvCells = 100, KvCellsUsed = 60, KvCellsShared = 20, KvCellsCached = 30, DecodeThreads = 2, PromptTokens = 10, CachedTokens = 4, Preemptions = 7 };

        using (metrics.Observe("model", () => gauges))
            listener.RecordObservableInstruments();

        Assert.Equal(
            (10, 20, 30, 40),
            (seen["fleet.inference.kv.cells/private"], seen["fleet.inference.kv.cells/shared"], seen["fleet.inference.kv.cells/cached"], seen["fleet.inference.kv.cells/free"]));
        Assert.Equal((2, 7, 0.4), (seen["fleet.inference.threads"], seen["fleet.inference.preemptions"], seen["fleet.inference.prefix.hit_ratio"]));

        seen.Clear();
        listener.RecordObservableInstruments();
        Assert.Empty(seen);
    }
}
