using System.Diagnostics.Metrics;

namespace Fleet.Chat.Telemetry;

/// <summary>What an operator watches of chat; names of the gen_ai conventions where they exist, <c>fleet.chat.*</c> for our own.</summary>
internal sealed class ChatMetrics
{
    private readonly Counter<long> _started;
    private readonly Counter<long> _ended;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly UpDownCounter<long> _sockets;

    public ChatMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Fleet.Chat");
        _started = meter.CreateCounter<long>("fleet.chat.runs.started", "{run}", "Replies asked for.");
        _ended = meter.CreateCounter<long>("fleet.chat.runs.ended", "{run}", "Replies ended, by outcome.");
        _duration = meter.CreateHistogram<double>("gen_ai.client.operation.duration", "s", "From the question to the stored reply.");
        _firstToken = meter.CreateHistogram<double>("gen_ai.client.operation.time_to_first_chunk", "s", "From the question to the first token.");
        _sockets = meter.CreateUpDownCounter<long>("fleet.chat.websockets", "{connection}", "Open chat sockets.");
    }

    public void RunStarted(string surface) => _started.Add(1, new KeyValuePair<string, object?>("surface", surface));

    /// <param name="outcome">completed, stopped or failed.</param>
    public void RunEnded(string surface, string outcome, TimeSpan duration, TimeSpan? firstToken)
    {
        var tag = new KeyValuePair<string, object?>("surface", surface);
        _ended.Add(1, tag, new KeyValuePair<string, object?>("outcome", outcome));
        _duration.Record(duration.TotalSeconds, tag);
        if (firstToken is { } first) _firstToken.Record(first.TotalSeconds, tag);
    }

    public void SocketOpened() => _sockets.Add(1);

    public void SocketClosed() => _sockets.Add(-1);
}
