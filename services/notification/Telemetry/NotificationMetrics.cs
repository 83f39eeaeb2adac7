using System.Diagnostics.Metrics;

namespace Fleet.Notification.Telemetry;

internal sealed class NotificationMetrics
{
    public const string MeterName = "Fleet.Notification";

    private readonly Counter<long> _written;
    private readonly UpDownCounter<int> _streams;

    public NotificationMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _written = meter.CreateCounter<long>("fleet.notification.written", "{notification}", "Notifications stored, by kind");
        _streams = meter.CreateUpDownCounter<int>("fleet.notification.streams", "{stream}", "Open live streams");
    }

    public void Written(string kind) => _written.Add(1, new KeyValuePair<string, object?>("kind", kind));

    public OpenStream StreamOpened()
    {
        _streams.Add(1);
        return new OpenStream(_streams);
    }

    internal readonly struct OpenStream(UpDownCounter<int> streams) : IDisposable
    {
        public void Dispose() => streams.Add(-1);
    }
}
