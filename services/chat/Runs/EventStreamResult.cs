using System.Text;
using Fleet.Chat.Clients;
using Microsoft.AspNetCore.Http.Features;

namespace Fleet.Chat.Runs;

/// <param name="Event">The event's name; null on OpenAI-compatible routes, whose clients know none.</param>
/// <param name="Data">One line.</param>
internal readonly record struct StreamFrame(string? Event, string Data);

/// <summary>
/// The one writer of server-sent events: a flush per event, a comment after a silence so that proxies keep the line, no buffering
/// on the way. No id: and retry: fields (openai-wire.md §1); offsets travel in the JSON.
/// </summary>
/// <param name="firstMove">The enumerator's first step when it has been taken already.</param>
/// <param name="onFailure">How a failure of the engine is told to somebody who already has a 200.</param>
internal sealed class EventStreamResult(IAsyncEnumerator<StreamFrame> frames, TimeSpan keepAlive, Task<bool>? firstMove = null,
    Func<GenerationException, StreamFrame>? onFailure = null) : IResult
{
    private static readonly byte[] Ping = ": ping\n\n"u8.ToArray();

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        httpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();

        var stopping = httpContext.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        var time = httpContext.RequestServices.GetRequiredService<TimeProvider>();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(httpContext.RequestAborted, stopping);
        Task<bool>? move = null;
        try
        {
            await response.StartAsync(ended.Token).ConfigureAwait(false);
            await response.Body.FlushAsync(ended.Token).ConfigureAwait(false);
            move = firstMove ?? frames.MoveNextAsync().AsTask();
            while (true)
            {
                if (!move.IsCompleted && !await ArrivesAsync(move, time, ended.Token).ConfigureAwait(false))
                {
                    await WriteAsync(response, Ping, ended.Token).ConfigureAwait(false);
                    continue;
                }

                if (!await move.ConfigureAwait(false)) return;
                await WriteAsync(response, Encode(frames.Current), ended.Token).ConfigureAwait(false);
                move = frames.MoveNextAsync().AsTask();
            }
        }
        catch (GenerationException exception) when (onFailure is not null)
        {
            await WriteAsync(response, Encode(onFailure(exception)), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && (ended.IsCancellationRequested || httpContext.RequestAborted.IsCancellationRequested))
        {
            // The reader went or this process ends. First-party runs go on; the reader comes back with its offset.
            if (!httpContext.RequestAborted.IsCancellationRequested) httpContext.Abort();
        }
        finally
        {
            await EndAsync(move).ConfigureAwait(false);
        }
    }

    /// <summary>False after a whole keep-alive interval of silence.</summary>
    private async Task<bool> ArrivesAsync(Task<bool> move, TimeProvider time, CancellationToken cancellationToken)
    {
        await ((Task)move).WaitAsync(keepAlive, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!move.IsCompleted) cancellationToken.ThrowIfCancellationRequested();
        return move.IsCompleted;
    }

    /// <summary>An enumerator may be disposed only when it is at rest; its source is cancelled with the request.</summary>
    private async Task EndAsync(Task<bool>? move)
    {
        if (move is { IsCompleted: false }) await ((Task)move).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await frames.DisposeAsync().ConfigureAwait(false);
    }

    // PipeWriter.WriteAsync flushes.
    private static async Task WriteAsync(HttpResponse response, byte[] bytes, CancellationToken cancellationToken) =>
        await response.BodyWriter.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);

    private static byte[] Encode(StreamFrame frame) =>
        Encoding.UTF8.GetBytes(frame.Event is null ? $"data: {frame.Data}\n\n" : $"event: {frame.Event}\ndata: {frame.Data}\n\n");
}
