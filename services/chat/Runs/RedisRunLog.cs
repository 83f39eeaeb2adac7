using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Fleet.Chat.Runs;

/// <summary>
/// Run logs in Redis streams, one per run, entry id = <c>{seq}-0</c>: readable on every replica, and complete when the process that
/// wrote them has been killed. The writer's own readers are served from memory, woken at once; others by pub/sub. While Redis is
/// away the run goes on in memory, and what it missed is sent before the next entry.
/// </summary>
internal sealed partial class RedisRunLog : IRunLog, IDisposable
{
    private const string KeyPrefix = "fleet:chat:run:";
    private const string LastEntry = "e";
    private const string Channel = "fleet:chat:runs";

    /// <summary>A lost notification costs a reader on another replica this much.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>A run that was never ended is forgotten after this; runs end within their deadline, minutes.</summary>
    private static readonly TimeSpan LongestLife = TimeSpan.FromDays(1);

    /// <summary>How long one append may hold a reader up before the run goes on without Redis.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Pause after a failure, so that a dead server costs one wait and not one per token.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    private readonly IConnectionMultiplexer _redis;
    private readonly MemoryRunLog _memory;
    private readonly RunOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisRunLog> _logger;
    private readonly ConcurrentDictionary<Guid, Writer> _writers = new();
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource> _waiters = new();
    private readonly RedisChannel _channel = new(Channel, RedisChannel.PatternMode.Literal);

    public RedisRunLog(IConnectionMultiplexer redis, MemoryRunLog memory, IOptions<RunOptions> options, TimeProvider time, ILogger<RedisRunLog> logger)
    {
        (_redis, _memory, _options, _time, _logger) = (redis, memory, options.Value, time, logger);
        // Kept over reconnects by the client itself.
        _redis.GetSubscriber().Subscribe(_channel, (_, message) =>
        {
            if (Guid.TryParse((string?)message, out var runId)) Wake(runId);
        });
    }

    public async ValueTask AppendAsync(Guid runId, RunEvent entry, CancellationToken cancellationToken)
    {
        var writer = _writers.GetOrAdd(runId, _ => new Writer());
        writer.Unsent.Enqueue(entry);
        if (_time.GetUtcNow() >= writer.RetryAt) await SendAsync(runId, writer).ConfigureAwait(false);
        // After Redis: what a reader here has seen, a successor of this process can read.
        await _memory.AppendAsync(runId, entry, cancellationToken).ConfigureAwait(false);
        if (entry.IsLast) _writers.TryRemove(runId, out _);
    }

    public async ValueTask<IReadOnlyList<RunEvent>> SnapshotAsync(Guid runId, CancellationToken cancellationToken)
    {
        var local = await _memory.SnapshotAsync(runId, cancellationToken).ConfigureAwait(false);
        if (_writers.ContainsKey(runId) || local is [.., { IsLast: true }]) return local;
        try
        {
            return await RangeAsync(runId, 0, int.MaxValue).ConfigureAwait(false);
        }
        catch (Exception exception) when (IsOutage(exception))
        {
            Log.Unavailable(_logger, exception.GetType().Name);
            return local;
        }
    }

    public async IAsyncEnumerable<RunEvent> ReadAsync(Guid runId, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // 1. Somebody else's run, or nobody's yet: from Redis, until it turns out to be written here.
        while (!await IsLocalAsync(runId, after, cancellationToken).ConfigureAwait(false))
        {
            var changed = _waiters.GetOrAdd(runId, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            var entries = await TryRangeAsync(runId, after).ConfigureAwait(false);
            foreach (var entry in entries)
            {
                yield return entry;
                after = entry.Seq;
                if (entry.IsLast) yield break;
            }

            if (entries.Count > 0) continue;
            await changed.WaitAsync(Poll, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }

        // 2. Our own: from memory.
        await foreach (var entry in _memory.ReadAsync(runId, after, cancellationToken).ConfigureAwait(false)) yield return entry;
    }

    public void Dispose() => _redis.GetSubscriber().Unsubscribe(_channel);

    /// <summary>Whether memory holds everything after the offset. A run taken over has its beginning in Redis only.</summary>
    private async ValueTask<bool> IsLocalAsync(Guid runId, long after, CancellationToken cancellationToken)
    {
        var local = await _memory.SnapshotAsync(runId, cancellationToken).ConfigureAwait(false);
        return local.Count > 0 && local[0].Seq <= after + 1;
    }

    private async Task SendAsync(Guid runId, Writer writer)
    {
        try
        {
            var database = _redis.GetDatabase();
            var key = KeyPrefix + runId;
            var isLast = false;
            while (writer.Unsent.TryPeek(out var entry))
            {
                await Bounded(AddAsync(database, key, entry)).ConfigureAwait(false);
                writer.Unsent.Dequeue();
                isLast |= entry.IsLast;
                if (entry.Seq == 1 || isLast)
                    await Bounded(database.KeyExpireAsync(key, isLast ? _options.LogRetention : LongestLife)).ConfigureAwait(false);
            }

            await Bounded(_redis.GetSubscriber().PublishAsync(_channel, runId.ToString())).ConfigureAwait(false);
        }
        catch (Exception exception) when (IsOutage(exception))
        {
            writer.RetryAt = _time.GetUtcNow() + Pause;
            Log.Unavailable(_logger, exception.GetType().Name);
        }
    }

    private static async Task AddAsync(IDatabase database, string key, RunEvent entry)
    {
        try
        {
            await database.ExecuteAsync("XADD", key, string.Create(CultureInfo.InvariantCulture, $"{entry.Seq}-0"), "t", entry.Type, LastEntry, entry.Json).ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (exception.Message.Contains("equal or smaller", StringComparison.Ordinal))
        {
            // It is there: an earlier attempt arrived although its answer did not.
        }
    }

    private Task Bounded(Task command) => command.WaitAsync(Patience, _time);

    private async Task<IReadOnlyList<RunEvent>> TryRangeAsync(Guid runId, long after)
    {
        try
        {
            return await RangeAsync(runId, after, 500).ConfigureAwait(false);
        }
        catch (Exception exception) when (IsOutage(exception))
        {
            Log.Unavailable(_logger, exception.GetType().Name);
            return [];
        }
    }

    private async Task<IReadOnlyList<RunEvent>> RangeAsync(Guid runId, long after, int count)
    {
        var result = await _redis.GetDatabase().ExecuteAsync("XRANGE", KeyPrefix + runId,
            string.Create(CultureInfo.InvariantCulture, $"{after + 1}-0"), "+", "COUNT", count).WaitAsync(Patience, _time).ConfigureAwait(false);
        return [.. ((RedisResult[])result!).Select(Parse)];
    }

    /// <summary>[id, [field, value, …]], the fields in the order they were written.</summary>
    private static RunEvent Parse(RedisResult entry)
    {
        var parts = (RedisResult[])entry!;
        var id = (string)parts[0]!;
        var fields = (RedisResult[])parts[1]!;
        return new RunEvent(long.Parse(id.AsSpan(0, id.IndexOf('-', StringComparison.Ordinal)), CultureInfo.InvariantCulture), (string)fields[1]!, (string)fields[3]!);
    }

    private void Wake(Guid runId)
    {
        if (_waiters.TryRemove(runId, out var waiter)) waiter.TrySetResult();
    }

    private static bool IsOutage(Exception exception) => exception is RedisException or TimeoutException or ObjectDisposedException;

    /// <summary>Used by the run's executor only.</summary>
    private sealed class Writer
    {
        public Queue<RunEvent> Unsent { get; } = new();
        public DateTimeOffset RetryAt { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Redis does not take or give run logs: {Reason}")]
        public static partial void Unavailable(ILogger logger, string reason);
    }
}
