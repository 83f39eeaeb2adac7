using System.Diagnostics.Metrics;

namespace Fleet.Analytics.Telemetry;

internal sealed class AnalyticsMetrics
{
    public const string MeterName = "Fleet.Analytics";

    private readonly Counter<long> _facts;

    public AnalyticsMetrics(IMeterFactory meters)
    {
        _facts = meters.Create(MeterName).CreateCounter<long>(
            "fleet.analytics.usage_facts", "{run}", "Runs counted; repeated says the run was known before");
    }

    public void FactRecorded(bool isNew) => _facts.Add(1, new KeyValuePair<string, object?>("repeated", !isNew));
}
