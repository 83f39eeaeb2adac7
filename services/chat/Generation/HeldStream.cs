using Fleet.Chat.Clients;
using Fleet.Chat.Runs;

namespace Fleet.Chat.Generation;

/// <summary>
/// A stream whose headers wait for its first frame, but no longer than one keep-alive interval: an early failure keeps its real
/// status, a long queue gets pings and tells a later failure in the stream.
/// </summary>
internal static class HeldStream
{
    /// <param name="onFailure">The last frame of a stream that has begun.</param>
    /// <exception cref="GenerationException">It failed before the first frame.</exception>
    public static async Task<IResult> StartAsync(IAsyncEnumerable<StreamFrame> frames, TimeSpan hold, TimeProvider time,
        Func<GenerationException, StreamFrame> onFailure, CancellationToken cancellationToken)
    {
        var enumerator = frames.GetAsyncEnumerator(cancellationToken);
        var first = enumerator.MoveNextAsync().AsTask();
        await ((Task)first).WaitAsync(hold, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!first.IsCompleted || first.IsCompletedSuccessfully) return new EventStreamResult(enumerator, hold, first, onFailure);

        await enumerator.DisposeAsync().ConfigureAwait(false);
        await first.ConfigureAwait(false);
        throw new InvalidOperationException("Unreachable: the move has failed.");
    }
}
