using Grpc.Core;

namespace Fleet.Compat.Grpc.Tests;

/// <summary>Counts what became of calls, so that tests can wait for it.</summary>
public sealed class CallLog
{
    public TaskCompletionSource Hanging { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource<Exception> WriteFailed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DateTime Deadline { get; set; }
}

public sealed class EchoService(CallLog log) : Echo.EchoBase
{
    public override async Task<EchoReply> Say(EchoRequest request, ServerCallContext context)
    {
        await BehaveAsync(request, context);
        return Reply(request, 1);
    }

    public override async Task Repeat(EchoRequest request, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        try
        {
            for (var i = 0; i < request.Repeat; i++)
                await responseStream.WriteAsync(Reply(request, i + 1), context.CancellationToken);
        }
        catch (Exception exception)
        {
            log.WriteFailed.TrySetResult(exception);
            throw;
        }

        await BehaveAsync(request, context);
    }

    public override async Task<EchoReply> Collect(IAsyncStreamReader<EchoRequest> requestStream, ServerCallContext context)
    {
        var texts = new List<string>();
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            texts.Add(request.Text);
            await BehaveAsync(request, context);
        }

        return new EchoReply { Text = string.Join(',', texts), Count = texts.Count };
    }

    public override async Task Chat(
        IAsyncStreamReader<EchoRequest> requestStream, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        var count = 0;
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            await BehaveAsync(request, context);
            await responseStream.WriteAsync(Reply(request, ++count));
        }
    }

    private static EchoReply Reply(EchoRequest request, int count) => new() { Text = request.Text, Payload = request.Payload, Count = count };

    private async Task BehaveAsync(EchoRequest request, ServerCallContext context)
    {
        log.Deadline = context.Deadline;
        if (request.ReflectMetadata)
        {
            var (text, bytes) = (context.RequestHeaders.GetValue("x-text")!, context.RequestHeaders.GetValueBytes("x-bytes-bin")!);
            await context.WriteResponseHeadersAsync(new Metadata { { "x-text", text }, { "x-bytes-bin", bytes } });
            context.ResponseTrailers.Add("x-trailing-text", text);
            context.ResponseTrailers.Add("x-trailing-bytes-bin", bytes);
        }

        if (request.Hang)
        {
            log.Hanging.TrySetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            }
            catch (OperationCanceledException)
            {
                log.Cancelled.TrySetResult();
                throw;
            }
        }

        if (request.Throw)
            throw new InvalidOperationException("a secret of the implementation");
        if (request.FailWith != 0)
            throw new RpcException(new Status((StatusCode)request.FailWith, request.FailDetail), new Metadata { { "x-reason", "asked" } });
    }
}
