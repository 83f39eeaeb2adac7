using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Fleet.ServiceDefaults.Telemetry;

/// <summary>
/// Writes what OpenTelemetry has aggregated as Prometheus text exposition format 0.0.4 when somebody asks, and only then.
/// One scrape at a time; a second one waits. (The packaged exporter has no release for every feed Fleet builds on.)
/// </summary>
internal sealed class PrometheusExporter : BaseExporter<Metric>, IPullMetricExporter
{
    private readonly SemaphoreSlim _scrape = new(1, 1);
    private readonly StringBuilder _text = new();

    public Func<int, bool>? Collect { get; set; }

    public async Task<string> ScrapeAsync(CancellationToken cancellationToken)
    {
        await _scrape.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _text.Clear();
            return Collect?.Invoke(5_000) == true ? _text.ToString() : throw new TimeoutException("Metrics could not be collected within 5 s.");
        }
        finally
        {
            _scrape.Release();
        }
    }

    public override ExportResult Export(in Batch<Metric> batch)
    {
        foreach (var metric in batch) Write(metric);
        return ExportResult.Success;
    }

    private void Write(Metric metric)
    {
        var monotonic = metric.MetricType is MetricType.LongSum or MetricType.DoubleSum;
        var histogram = metric.MetricType == MetricType.Histogram;
        if (!histogram && metric.MetricType is MetricType.ExponentialHistogram) return;

        var name = Name(metric.Name, metric.Unit) + (monotonic ? "_total" : "");
        if (metric.Description is { Length: > 0 } help)
            _text.Append("# HELP ").Append(name).Append(' ').Append(help.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal)).Append('\n');
        _text.Append("# TYPE ").Append(name).Append(histogram ? " histogram\n" : monotonic ? " counter\n" : " gauge\n");

        foreach (ref readonly var point in metric.GetMetricPoints())
        {
            var labels = Labels(point.Tags);
            if (histogram) WriteHistogram(name, labels, point);
            else WriteLine(name, labels, metric.MetricType.IsLong() ? (metric.MetricType.IsSum() ? point.GetSumLong() : point.GetGaugeLastValueLong())
                : metric.MetricType.IsSum() ? point.GetSumDouble() : point.GetGaugeLastValueDouble());
        }
    }

    private void WriteHistogram(string name, string labels, in MetricPoint point)
    {
        var cumulative = 0L;
        foreach (var bucket in point.GetHistogramBuckets())
        {
            cumulative += bucket.BucketCount;
            var bound = double.IsPositiveInfinity(bucket.ExplicitBound) ? "+Inf" : bucket.ExplicitBound.ToString("R", CultureInfo.InvariantCulture);
            WriteLine(name + "_bucket", labels.Length == 0 ? $"le=\"{bound}\"" : $"{labels},le=\"{bound}\"", cumulative);
        }

        WriteLine(name + "_sum", labels, point.GetHistogramSum());
        WriteLine(name + "_count", labels, point.GetHistogramCount());
    }

    private void WriteLine(string name, string labels, double value)
    {
        _text.Append(name);
        if (labels.Length > 0) _text.Append('{').Append(labels).Append('}');
        _text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }

    private static string Labels(ReadOnlyTagCollection tags)
    {
        StringBuilder? labels = null;
        foreach (var (key, value) in tags)
        {
            labels = labels is null ? new StringBuilder() : labels.Append(',');
            var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
            labels.Append(Identifier(key)).Append("=\"")
                .Append(text.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal))
                .Append('"');
        }

        return labels?.ToString() ?? "";
    }

    /// <summary>OpenTelemetry's rules for Prometheus: dots become underscores and the unit is part of the name.</summary>
    internal static string Name(string name, string? unit)
    {
        var suffix = unit switch
        {
            "s" => "seconds",
            "ms" => "milliseconds",
            "By" => "bytes",
            "1" or "" or null => "",
            _ when unit.StartsWith('{') => "",
            _ => Identifier(unit),
        };
        var identifier = Identifier(name);
        return suffix.Length == 0 || identifier.EndsWith(suffix, StringComparison.Ordinal) ? identifier : $"{identifier}_{suffix}";
    }

    private static string Identifier(string text) => string.Create(text.Length, text, static (span, source) =>
    {
        for (var i = 0; i < span.Length; i++)
            span[i] = char.IsAsciiLetter(source[i]) || (i > 0 && char.IsAsciiDigit(source[i])) ? source[i] : '_';
    });

    protected override void Dispose(bool disposing)
    {
        if (disposing) _scrape.Dispose();
        base.Dispose(disposing);
    }
}

internal static class PrometheusEndpoints
{
    public static void MapPrometheusMetrics(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/metrics", async (PrometheusExporter exporter, CancellationToken cancellationToken) =>
                TypedResults.Text(await exporter.ScrapeAsync(cancellationToken).ConfigureAwait(false), "text/plain; version=0.0.4; charset=utf-8"))
            .AllowAnonymous().ExcludeFromDescription();
}
