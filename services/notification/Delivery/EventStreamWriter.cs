using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Fleet.Notification.Delivery;

/// <summary>Writes server-sent events, and comments, which the framework's result type cannot write.</summary>
internal sealed class EventStreamWriter(HttpResponse response, JsonSerializerOptions json)
{
    private static readonly byte[] PingComment = ": ping\n\n"u8.ToArray();

    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        // Proxies that buffer would hold events back.
        response.Headers["X-Accel-Buffering"] = "no";
        await response.Body.FlushAsync(cancellationToken);
    }

    public async Task WriteAsync<T>(string name, string? id, T data, CancellationToken cancellationToken)
    {
        var text = new ArrayBufferWriter<byte>(512);
        if (id is not null)
            Encoding.UTF8.GetBytes($"id: {id}\n", text);

        // JSON text holds no line breaks, so one data line is enough.
        Encoding.UTF8.GetBytes($"event: {name}\ndata: {JsonSerializer.Serialize(data, json)}\n\n", text);
        await response.Body.WriteAsync(text.WrittenMemory, cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
    }

    public async Task PingAsync(CancellationToken cancellationToken)
    {
        await response.Body.WriteAsync(PingComment, cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
    }
}
