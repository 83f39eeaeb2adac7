using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Fleet.Inference.Engine;

internal static class Merge
{
    /// <summary>
    /// Several streams as one, each in its own order. The first of the first stream comes first. One that fails ends the others and
    /// is thrown when they have ended; all have ended when this does.
    /// </summary>
    public static async IAsyncEnumerable<T> Streams<T>(IReadOnlyList<IAsyncEnumerable<T>> streams, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (streams.Count == 1)
        {
            await foreach (var item in streams[0].WithCancellation(cancellationToken))
                yield return item;
            yield break;
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var merged = Channel.CreateUnbounded<T>(new UnboundedChannelOptions { SingleReader = true });
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var pumps = Task.WhenAll(streams.Select((stream, index) => PumpAsync(stream, index)));
        try
        {
            _ = pumps.ContinueWith(_ => merged.Writer.TryComplete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            await foreach (var item in merged.Reader.ReadAllAsync(CancellationToken.None))
                yield return item;
            await pumps;
        }
        finally
        {
            await ending.CancelAsync();
            await pumps.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task PumpAsync(IAsyncEnumerable<T> stream, int index)
        {
            try
            {
                await foreach (var item in stream.WithCancellation(ending.Token))
                {
                    if (index > 0)
                        await started.Task;
                    await merged.Writer.WriteAsync(item, CancellationToken.None);
                    started.TrySetResult();
                }
            }
            catch
            {
                started.TrySetResult();
                await ending.CancelAsync();
                throw;
            }
        }
    }
}
