using System.Collections.Concurrent;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Fleet.Gateway.Tests;

/// <summary>
/// A service behind the gateway: real Kestrel on loopback that says who it is and what it was sent. Paths below
/// <c>/…/stream</c>, <c>/…/echo</c>, <c>/…/teapot</c> and <c>/…/break</c> do what their name says.
/// </summary>
internal sealed class Upstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string _name;

    private Upstream(string name, int port)
    {
        _name = name;
        // The appsettings.json beside the tests is that of the service under test.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        _app = builder.Build();
        _app.UseWebSockets();
        _app.Run(AnswerAsync);
    }

    public string Address => _app.Urls.First();

    public ConcurrentQueue<string> Seen { get; } = [];

    public bool Ready { get; set; } = true;

    /// <summary>What a stream sends; the test decides when.</summary>
    public System.Threading.Channels.Channel<string> Events { get; } = System.Threading.Channels.Channel.CreateUnbounded<string>();

    public static async Task<Upstream> StartAsync(string name, int port = 0)
    {
        var upstream = new Upstream(name, port);
        await upstream._app.StartAsync();
        return upstream;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (path == "/health/ready")
        {
            context.Response.StatusCode = Ready ? 200 : 503;
            return;
        }

        Seen.Enqueue($"{context.Request.Method} {path}");
        switch (path.Split('/')[^1])
        {
            case "stream":
                await StreamAsync(context);
                break;
            case "echo":
                await EchoAsync(context);
                break;
            case "teapot":
                context.Response.StatusCode = StatusCodes.Status418ImATeapot;
                await context.Response.WriteAsync("short and stout");
                break;
            case "break":
                context.Abort();
                break;
            default:
                await DescribeAsync(context);
                break;
        }
    }

    private async Task DescribeAsync(HttpContext context)
    {
        var length = 0L;
        var buffer = new byte[81920];
        for (int read; (read = await context.Request.Body.ReadAsync(buffer)) > 0;) length += read;
        await context.Response.WriteAsJsonAsync(new Description(_name, context.Request.Path.Value!, length,
            context.Request.Headers.ToDictionary(header => header.Key.ToLowerInvariant(), header => header.Value.ToString())));
    }

    private async Task StreamAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        await context.Response.Body.FlushAsync();
        await foreach (var data in Events.Reader.ReadAllAsync(context.RequestAborted))
        {
            await context.Response.WriteAsync($"data: {data}\n\n");
            await context.Response.Body.FlushAsync();
        }
    }

    private static async Task EchoAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync(context.WebSockets.WebSocketRequestedProtocols.FirstOrDefault());
        var buffer = new byte[1024];
        while (true)
        {
            var received = await socket.ReceiveAsync(buffer, context.RequestAborted);
            if (received.MessageType == WebSocketMessageType.Close) break;
            await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
        }

        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
    }

    public async ValueTask DisposeAsync()
    {
        Events.Writer.TryComplete();
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    internal sealed record Description(string service, string path, long length, Dictionary<string, string> headers);
}
