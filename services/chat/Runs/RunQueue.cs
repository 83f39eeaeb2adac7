using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Runs;

/// <param name="BearerToken">The asking person's token, for knowledge; in memory only, so a run taken over has none.</param>
internal sealed record RunWork(Guid RunId, string? BearerToken);

/// <summary>
/// Runs on their way to this process's worker and in its hands: the bounded door in, and the place where a stop finds its run.
/// </summary>
internal sealed class RunQueue(IOptions<RunOptions> options)
{
    private readonly Channel<RunWork> _channel = Channel.CreateUnbounded<RunWork>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ConcurrentDictionary<Guid, CancellationTokenSource> _running = new();
    private int _held;

    public ChannelReader<RunWork> Reader => _channel.Reader;

    /// <summary>Takes a place before the run is stored, so that no stored run is ever turned away. Pair with <see cref="Enqueue"/> or <see cref="Leave"/>.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _held) <= options.Value.MaxActiveRuns) return true;
        Interlocked.Decrement(ref _held);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _held);

    // The channel itself needs no bound: a place was taken for whatever is in it.
    public void Enqueue(RunWork work) => _channel.Writer.TryWrite(work);

    /// <summary>False when this process executes the run already.</summary>
    public bool TryRegister(Guid runId, [NotNullWhen(true)] out CancellationTokenSource? stop)
    {
        stop = new CancellationTokenSource();
        if (_running.TryAdd(runId, stop)) return true;
        stop.Dispose();
        stop = null;
        return false;
    }

    public void Unregister(Guid runId)
    {
        if (_running.TryRemove(runId, out var stop)) stop.Dispose();
    }

    /// <summary>Stops the run if it is executed here; elsewhere its owner sees the request at the next checkpoint.</summary>
    public void Stop(Guid runId)
    {
        if (!_running.TryGetValue(runId, out var stop)) return;
        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself in this moment.
        }
    }
}
