namespace Fleet.Benchmarks.Inference;

/// <summary>One of the compared servers.</summary>
internal abstract class Side(MeasuredProcess process) : IAsyncDisposable
{
    protected static readonly Ask WarmUp = new(BenchContext.RandomTokens(new Random(7), 16), 8);

    public MeasuredProcess Process { get; } = process;

    /// <summary>What it was started with, for the report.</summary>
    public abstract string Flags { get; }

    /// <summary>Streams one reply; ends early, without an exception, when the token is cancelled.</summary>
    public Task<Reply> GenerateAsync(Ask ask, CancellationToken cancellationToken = default) => GenerateIntoAsync(new Reply(ask), cancellationToken);

    /// <summary>The same for a caller that watches the reply grow.</summary>
    public async Task<Reply> GenerateIntoAsync(Reply reply, CancellationToken cancellationToken = default)
    {
        try
        {
            await StreamAsync(reply, cancellationToken);
            reply.Completed = reply.Tokens == reply.Ask.Tokens;
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // The time limit; what has arrived until then is the result.
        }

        return reply;
    }

    public async Task<IReadOnlyList<Reply>> GenerateAllAsync(IEnumerable<Ask> asks, CancellationToken cancellationToken = default) =>
        await Task.WhenAll(asks.Select(ask => GenerateAsync(ask, cancellationToken)));

    /// <summary>A request like those to come, after standing still.</summary>
    public virtual Task WarmUpAsync() => GenerateAsync(WarmUp);

    public virtual async ValueTask DisposeAsync()
    {
        await Process.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected abstract Task StreamAsync(Reply reply, CancellationToken cancellationToken);
}
