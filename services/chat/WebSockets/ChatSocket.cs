using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;

namespace Fleet.Chat.WebSockets;

/// <summary>
/// One open chat socket. Three activities: the receive loop (owner of everything here), the send loop (the only one that writes to
/// the socket) and, while a reply is shown, the pump that copies the run's log. Closing the socket ends none of the runs.
/// </summary>
internal sealed partial class ChatSocket(WebSocket socket, Asker asker, Guid sessionId, SocketHub hub, RunReader reader, IServiceScopeFactory scopes,
    ILogger<ChatSocket> logger)
{
    private const int LargestMessage = 64 * 1024;

    /// <summary>Frames waiting for a slow reader; then the pump waits, and indicators are dropped.</summary>
    private const int OutgoingFrames = 64;

    private readonly Channel<string> _outgoing = Channel.CreateBounded<string>(new BoundedChannelOptions(OutgoingFrames) { SingleReader = true });
    private Task _pump = Task.CompletedTask;
    private CancellationTokenSource? _pumpStop;
    private Guid? _runId;

    public Guid SessionId => sessionId;

    public void TrySend(string frame) => _outgoing.Writer.TryWrite(frame);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sending = SendLoopAsync(ended.Token);
        hub.Join(this);
        try
        {
            await ReceiveLoopAsync(ended.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or WebSocketException)
        {
            // Gone without a word, or this process ends; the client comes back and resumes.
        }
        finally
        {
            hub.Leave(this);
            await StopPumpAsync().ConfigureAwait(false);
            _outgoing.Writer.TryComplete();
            // What is queued (a last error) still goes out, but nobody waits long for a dead line.
            ended.CancelAfter(TimeSpan.FromSeconds(2));
            await sending.ConfigureAwait(false);
            await CloseAsync(cancellationToken.IsCancellationRequested).ConfigureAwait(false);
        }
    }

    private WebSocketCloseStatus _closeStatus = WebSocketCloseStatus.NormalClosure;

    private async Task ReceiveLoopAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[LargestMessage];
        while (true)
        {
            var length = 0;
            ValueWebSocketReceiveResult part;
            do
            {
                if (length == buffer.Length)
                {
                    await SendAsync(SocketFrames.Error("too-large", "A frame may have at most 64 KiB."), cancellationToken).ConfigureAwait(false);
                    _closeStatus = WebSocketCloseStatus.MessageTooBig;
                    return;
                }

                part = await socket.ReceiveAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false);
                length += part.Count;
            }
            while (!part.EndOfMessage);

            if (part.MessageType == WebSocketMessageType.Close) return;
            if (part.MessageType == WebSocketMessageType.Binary)
                await SendAsync(SocketFrames.Error("malformed-frame", "Frames are JSON text."), cancellationToken).ConfigureAwait(false);
            else
                await HandleAsync(buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>One bad or failing frame costs its sender an error frame, not the connection.</summary>
    private async Task HandleAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var frame = document.RootElement;
            if (frame.ValueKind != JsonValueKind.Object) throw new JsonException();
            switch (Text(frame, "type"))
            {
                case "chat_message": await AskAsync(frame, cancellationToken).ConfigureAwait(false); break;
                case "resume": await ResumeAsync(frame, cancellationToken).ConfigureAwait(false); break;
                case "stop": await StopAsync(cancellationToken).ConfigureAwait(false); break;
                case "typing": hub.TellOthers(this, SocketFrames.Typing()); break;
                default: await SendAsync(SocketFrames.Error("unknown-frame", "type must be chat_message, resume, stop or typing."), cancellationToken).ConfigureAwait(false); break;
            }
        }
        catch (JsonException)
        {
            await SendAsync(SocketFrames.Error("malformed-frame", "The frame is not valid."), cancellationToken).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // The boundary of one frame: logged here, told to the client, and the connection lives.
        catch (Exception exception) when (exception is not (OperationCanceledException or WebSocketException))
#pragma warning restore CA1031
        {
            Log.FrameFailed(logger, sessionId, exception);
            await SendAsync(SocketFrames.Error("internal", "Something went wrong on our side."), cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task AskAsync(JsonElement frame, CancellationToken cancellationToken)
    {
        var content = Text(frame, "message");
        if (string.IsNullOrWhiteSpace(content) || content.Length > LargestMessage || !StorableTextAttribute.IsStorable(content))
        {
            await SendAsync(SocketFrames.Error("validation", "message must be text that is not empty."), cancellationToken).ConfigureAwait(false);
            return;
        }

        var parent = frame.TryGetProperty("parentId", out var given) && given.ValueKind != JsonValueKind.Null
            ? given.ValueKind == JsonValueKind.String && given.TryGetGuid(out var id) ? id : throw new JsonException()
            : (Guid?)null;
        await using var scope = scopes.CreateAsyncScope();
        var runs = scope.ServiceProvider.GetRequiredService<RunService>();
        var result = await runs.StartAsync(asker, sessionId, new NewMessage(content, parent, null, null), cancellationToken).ConfigureAwait(false);
        if (result is not StartResult.Started started)
        {
            var (_, slug, title, runId) = RunEndpoints.Describe(result);
            await SendAsync(SocketFrames.Error(slug, title, runId), cancellationToken).ConfigureAwait(false);
            return;
        }

        // The other tabs learn that there is something to resume.
        hub.TellOthers(this, SocketFrames.Of(started.RunId, RunEvent.Started(1, started.RunId, started.MessageId, started.UserMessageId)));
        var run = await scope.ServiceProvider.GetRequiredService<RunStore>().GetAsync(started.RunId, cancellationToken).ConfigureAwait(false);
        await PumpAsync(run, 0, cancellationToken).ConfigureAwait(false);
    }

    private async Task ResumeAsync(JsonElement frame, CancellationToken cancellationToken)
    {
        var after = 0L;
        if (frame.TryGetProperty("after", out var offset) && (offset.ValueKind != JsonValueKind.Number || !offset.TryGetInt64(out after) || after < 0))
            throw new JsonException();

        await using var scope = scopes.CreateAsyncScope();
        var run = frame.TryGetProperty("runId", out var given) && given.ValueKind == JsonValueKind.String && given.TryGetGuid(out var runId)
            ? await scope.ServiceProvider.GetRequiredService<RunStore>().FindAsync(asker.UserId, runId, cancellationToken).ConfigureAwait(false)
            : await scope.ServiceProvider.GetRequiredService<SessionStore>().LatestRunAsync(asker.UserId, sessionId, cancellationToken).ConfigureAwait(false);
        if (run is null || run.SessionId != sessionId)
            await SendAsync(SocketFrames.Error("not-found", "There is no reply to resume."), cancellationToken).ConfigureAwait(false);
        else
            await PumpAsync(run, after, cancellationToken).ConfigureAwait(false);
    }

    private async Task StopAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var active = await scope.ServiceProvider.GetRequiredService<SessionStore>().ActiveRunAsync(sessionId, cancellationToken).ConfigureAwait(false);
        if ((active?.Id ?? _runId) is { } runId)
            await scope.ServiceProvider.GetRequiredService<RunService>().CancelAsync(asker.UserId, runId, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Shows a run from an offset; what was shown before, if anything, is left.</summary>
    private async Task PumpAsync(Run run, long after, CancellationToken cancellationToken)
    {
        await StopPumpAsync().ConfigureAwait(false);
        _runId = run.Id;
        _pumpStop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _pump = CopyAsync(run, after, _pumpStop.Token);
    }

    private async Task CopyAsync(Run run, long after, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var entry in reader.ReadAsync(run, after, cancellationToken).ConfigureAwait(false))
                await SendAsync(SocketFrames.Of(run.Id, entry), cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Another offset was asked for, or the socket has gone.
        }
    }

    private async Task StopPumpAsync()
    {
        if (_pumpStop is not { } stop) return;
        await stop.CancelAsync().ConfigureAwait(false);
        await _pump.ConfigureAwait(false);
        stop.Dispose();
        _pumpStop = null;
    }

    private async Task SendAsync(string frame, CancellationToken cancellationToken)
    {
        try
        {
            await _outgoing.Writer.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            // The line is dead; the receive loop is about to notice.
        }
    }

    private async Task SendLoopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var frame in _outgoing.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                await socket.SendAsync(Encoding.UTF8.GetBytes(frame).AsMemory(), WebSocketMessageType.Text, endOfMessage: true, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or WebSocketException)
        {
            // Nobody reads any more: whoever waits to send must not wait for ever.
            _outgoing.Writer.TryComplete();
        }
    }

    private async Task CloseAsync(bool goingAway)
    {
        if (socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived)) return;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await socket.CloseOutputAsync(goingAway ? WebSocketCloseStatus.EndpointUnavailable : _closeStatus, null, patience.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or WebSocketException)
        {
            // Not even a goodbye is possible.
        }
    }

    /// <exception cref="JsonException">Invalid UTF-8 or half a surrogate pair.</exception>
    private static string? Text(JsonElement frame, string name)
    {
        if (!frame.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("Not text.", exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "A frame of session {SessionId} could not be handled")]
        public static partial void FrameFailed(ILogger logger, Guid sessionId, Exception exception);
    }
}
