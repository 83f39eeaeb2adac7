using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fleet.Inference.Tests.Models.Downloads;

/// <summary>A web server on this machine whose next answers a test writes down; afterwards it answers as a good server does.</summary>
internal sealed class FileServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FileServer(WebApplication app) => _app = app;

    public byte[] File { get; set; } = [];

    public string ETag { get; set; } = "\"1\"";

    /// <summary>Answers before the ordinary one, in order.</summary>
    public ConcurrentQueue<RequestDelegate> Next { get; } = [];

    /// <summary>The Range header of every request, empty without one.</summary>
    public ConcurrentQueue<string> Ranges { get; } = [];

    public string Address { get; private set; } = "";

    public string Url(string name = "model.gguf") => $"{Address}/files/{name}";

    public static async Task<FileServer> StartAsync(byte[] file)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        // The service's own addresses lie beside the tests.
        builder.Configuration.Sources.Clear();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var server = new FileServer(app) { File = file };
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        server.Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return server;
    }

    /// <summary>Announces the whole and breaks the connection in the middle.</summary>
    public RequestDelegate CutAfter(int bytes) => async context =>
    {
        context.Response.Headers.ETag = ETag;
        var from = FromOf(context);
        Begin(context, from);
        await context.Response.Body.WriteAsync(File.AsMemory(from, Math.Min(bytes, File.Length - from)));
        await context.Response.Body.FlushAsync();
        context.Abort();
    };

    /// <summary>Sends a part and then nothing until the other side goes.</summary>
    public RequestDelegate HangAfter(int bytes) => async context =>
    {
        context.Response.Headers.ETag = ETag;
        context.Response.ContentLength = File.Length;
        await context.Response.Body.WriteAsync(File.AsMemory(0, bytes));
        await context.Response.Body.FlushAsync();
        await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
    };

    public static RequestDelegate Status(int status, Action<HttpResponse>? more = null) => context =>
    {
        context.Response.StatusCode = status;
        more?.Invoke(context.Response);
        return Task.CompletedTask;
    };

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Ranges.Enqueue(context.Request.Headers.Range.ToString());
        if (Next.TryDequeue(out var answer))
        {
            await answer(context);
            return;
        }

        context.Response.Headers.ETag = ETag;
        var from = FromOf(context);
        if (from >= File.Length)
        {
            context.Response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
            context.Response.Headers.ContentRange = $"bytes */{File.Length}";
            return;
        }

        Begin(context, from);
        await context.Response.Body.WriteAsync(File.AsMemory(from));
    }

    private int FromOf(HttpContext context)
    {
        var range = context.Request.GetTypedHeaders().Range?.Ranges.FirstOrDefault()?.From;
        return range is { } from && context.Request.Headers.IfRange == ETag ? (int)from : 0;
    }

    private void Begin(HttpContext context, int from)
    {
        context.Response.ContentLength = File.Length - from;
        if (from == 0)
            return;
        context.Response.StatusCode = StatusCodes.Status206PartialContent;
        context.Response.Headers.ContentRange = $"bytes {from}-{File.Length - 1}/{File.Length}";
    }
}
