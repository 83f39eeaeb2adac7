using System.Collections.Concurrent;
using System.Threading.Channels;
using Npgsql;

namespace Fleet.Knowledge.Ingestion;

/// <summary>
/// Wakes workers and progress streams when something changed, on whichever replica it did. Only a hint: whoever waits also looks
/// for itself now and then, so that a lost notification costs seconds and nothing else.
/// </summary>
internal sealed partial class IngestionSignals(NpgsqlDataSource database, TimeProvider time, ILogger<IngestionSignals> logger) : BackgroundService
{
    public const string JobsChannel = "fleet_ingestion_jobs";
    public const string DocumentsChannel = "fleet_documents";

    private static readonly TimeSpan ReconnectDelay = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Subscription, byte> _subscriptions = new();

    /// <summary>Tells everybody who watches the document, once the transaction commits.</summary>
    public static async Task NotifyAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Guid documentId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT pg_notify('{DocumentsChannel}', $1)", connection, transaction)
        {
            Parameters = { new() { Value = documentId.ToString() } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public Subscription WatchJobs() => Subscribe(documentId: null);

    public Subscription Watch(Guid documentId) => Subscribe(documentId);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or System.Net.Sockets.SocketException)
            {
                Log.ListeningInterrupted(logger, exception);
                await Task.Delay(ReconnectDelay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        connection.Notification += (_, notification) => Publish(Guid.TryParse(notification.Payload, out var id) ? id : null);
        await using (var command = new NpgsqlCommand($"LISTEN {JobsChannel}; LISTEN {DocumentsChannel}", connection))
            await command.ExecuteNonQueryAsync(cancellationToken);

        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    private void Publish(Guid? documentId)
    {
        foreach (var (subscription, _) in _subscriptions)
        {
            if (subscription.DocumentId == documentId)
                subscription.Wake();
        }
    }

    private Subscription Subscribe(Guid? documentId)
    {
        var subscription = new Subscription(this, documentId);
        _subscriptions[subscription] = 0;
        return subscription;
    }

    internal sealed class Subscription(IngestionSignals signals, Guid? documentId) : IDisposable
    {
        // One pending wake-up is enough: whoever wakes looks at everything.
        private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

        public Guid? DocumentId => documentId;

        public void Wake() => _wakes.Writer.TryWrite(true);

        /// <summary>Until something happened or the time is over.</summary>
        public async Task WaitAsync(TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
        {
            using var limit = new CancellationTokenSource(atMost, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                await _wakes.Reader.ReadAsync(either.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // Time to look anyway.
            }
        }

        public void Dispose() => signals._subscriptions.TryRemove(this, out _);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Listening for ingestion signals was interrupted; polling goes on")]
        public static partial void ListeningInterrupted(ILogger logger, Exception exception);
    }
}
