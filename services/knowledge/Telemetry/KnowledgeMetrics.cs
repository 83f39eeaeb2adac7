using System.Diagnostics.Metrics;

namespace Fleet.Knowledge.Telemetry;

internal sealed class KnowledgeMetrics
{
    public const string MeterName = "Fleet.Knowledge";

    private readonly Counter<long> _uploads;
    private readonly Counter<long> _uploadedBytes;
    private readonly Counter<long> _ingestions;
    private readonly Histogram<double> _ingestionDuration;
    private readonly Counter<long> _embedded;
    private readonly Histogram<double> _embedDuration;
    private readonly Histogram<double> _searchDuration;

    public KnowledgeMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _uploads = meter.CreateCounter<long>("fleet.knowledge.uploads", "{file}", "Files received, by outcome");
        _uploadedBytes = meter.CreateCounter<long>("fleet.knowledge.uploaded", "By", "Bytes of files that were taken");
        _ingestions = meter.CreateCounter<long>("fleet.knowledge.ingestions", "{attempt}", "Attempts to ingest a document, by outcome");
        _ingestionDuration = meter.CreateHistogram<double>("fleet.knowledge.ingestion.duration", "s", "From the claim to the commit of a document");
        _embedded = meter.CreateCounter<long>("fleet.knowledge.embedded", "{text}", "Texts embedded by inference");
        _embedDuration = meter.CreateHistogram<double>("fleet.knowledge.embed.duration", "s", "One embedding call");
        _searchDuration = meter.CreateHistogram<double>("fleet.knowledge.search.duration", "s", "One search, by type");
    }

    public void Uploaded(string outcome, long bytes)
    {
        _uploads.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
        _uploadedBytes.Add(bytes);
    }

    public void Ingested(string outcome, TimeSpan duration)
    {
        _ingestions.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
        _ingestionDuration.Record(duration.TotalSeconds, new KeyValuePair<string, object?>("outcome", outcome));
    }

    public void Embedded(int texts, TimeSpan duration)
    {
        _embedded.Add(texts);
        _embedDuration.Record(duration.TotalSeconds);
    }

    public void Searched(string type, bool degraded, TimeSpan duration) => _searchDuration.Record(
        duration.TotalSeconds, new KeyValuePair<string, object?>("type", type), new KeyValuePair<string, object?>("degraded", degraded));
}
