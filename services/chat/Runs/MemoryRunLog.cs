using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Runs;

/// <summary>
/// Run logs of this process. Enough for one replica; with more of them, or to lose nothing when the process is killed, Redis
/// carries the log (<see cref="RedisRunLog"/>). Finished logs are forgotten after a while, oldest first.
/// </summary>
internal sealed class MemoryRunLog(IOptions<RunOptions> options, TimeProvider time) : IRunLog
{
    private readonly ConcurrentDictionary<Guid, Log> _logs = new();
    private readonly ConcurrentQueue<(Guid RunId, DateTimeOffset Ended)> _ended = new();

    public ValueTask AppendAsync(Guid runId, RunEvent entry, CancellationToken cancellationToken)
    {
        _logs.GetOrAdd(runId, _ => new Log()).Append(entry);
        if (entry.IsLast)
        {
            _ended.Enqueue((runId, time.GetUtcNow()));
            Forget();
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<RunEvent>> SnapshotAsync(Guid runId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<RunEvent>>(_logs.TryGetValue(runId, out var log) ? log.After(0, out _) : []);

    public async IAsyncEnumerable<RunEvent> ReadAsync(Guid runId, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var log = _logs.GetOrAdd(runId, _ => new Log());
        while (true)
        {
            var events = log.After(after, out var changed);
            foreach (var entry in events)
            {
                yield return entry;
                after = entry.Seq;
                if (entry.IsLast) yield break;
            }

            if (events.Count > 0) continue;
            // A reader whose offset lies past the end of a finished log has seen everything.
            if (log.HasEnded) yield break;
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Forget()
    {
        var limit = time.GetUtcNow() - options.Value.LogRetention;
        while (_ended.TryPeek(out var oldest) && (oldest.Ended <= limit || _ended.Count > options.Value.MaxRetainedLogs))
        {
            if (_ended.TryDequeue(out oldest)) _logs.TryRemove(oldest.RunId, out _);
        }
    }

    /// <summary>One run's events; the lock is held for list operations only.</summary>
    private sealed class Log
    {
        private readonly Lock _lock = new();
        private readonly List<RunEvent> _events = [];
        private TaskCompletionSource _changed = NewSignal();

        public bool HasEnded
        {
            get
            {
                lock (_lock) return _events.Count > 0 && _events[^1].IsLast;
            }
        }

        public void Append(RunEvent entry)
        {
            TaskCompletionSource changed;
            lock (_lock)
            {
                if (_events.Count > 0 && entry.Seq <= _events[^1].Seq) return;
                _events.Add(entry);
                changed = _changed;
                _changed = NewSignal();
            }

            changed.SetResult();
        }

        public List<RunEvent> After(long after, out Task changed)
        {
            lock (_lock)
            {
                changed = _changed.Task;
                if (_events.Count == 0 || _events[^1].Seq <= after) return [];
                // Sequence numbers are dense but for a jump after a lost log: search, then copy the rest.
                var index = _events.Count;
                while (index > 0 && _events[index - 1].Seq > after) index--;
                return _events.GetRange(index, _events.Count - index);
            }
        }

        private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
