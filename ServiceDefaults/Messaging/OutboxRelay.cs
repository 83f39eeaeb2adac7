using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using Fleet.Contracts.Events;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>
/// Publishes committed outbox rows: woken by <c>NOTIFY</c> (and every few seconds in case one was missed), claims a batch with
/// <c>FOR UPDATE SKIP LOCKED</c>, awaits the broker's confirms, marks the batch with one update. Several replicas share the
/// work. A crash between confirm and mark publishes again; consumers' inboxes absorb that.
/// </summary>
internal sealed partial class OutboxRelay(NpgsqlDataSource database, IBusControl bus, TimeProvider time, ILogger<OutboxRelay> logger) : BackgroundService
{
    private const int BatchSize = 200;
    private static readonly TimeSpan MissedWakeUp = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FailurePause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PublishTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Kept for a while so that an operator can see what went out.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromDays(3);

    private readonly Channel<bool> _wakeUps = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(ListenAsync(stoppingToken), RelayAsync(stoppingToken));

    private async Task ListenAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(stoppingToken).ConfigureAwait(false);
                connection.Notification += (_, _) => _wakeUps.Writer.TryWrite(true);
                await using (var listen = new NpgsqlCommand("LISTEN fleet_outbox", connection))
                    await listen.ExecuteNonQueryAsync(stoppingToken).ConfigureAwait(false);
                _wakeUps.Writer.TryWrite(true);
                while (true) await connection.WaitAsync(stoppingToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException exception)
            {
                Log.ListenFailed(logger, exception);
                await PauseAsync(stoppingToken).ConfigureAwait(false);
            }
        }
    }

    private async Task RelayAsync(CancellationToken stoppingToken)
    {
        // Our own handlers' queues exist only then; what is published before would miss them.
        await bus.WaitForHealthStatus(BusHealthStatus.Healthy, stoppingToken).ConfigureAwait(false);
        var nextCleanUp = time.GetUtcNow();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await RelayBatchAsync(stoppingToken).ConfigureAwait(false) == BatchSize)
                {
                }

                if (time.GetUtcNow() >= nextCleanUp)
                {
                    await CleanUpAsync(stoppingToken).ConfigureAwait(false);
                    nextCleanUp = time.GetUtcNow().AddHours(1);
                }

                using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
                timeout.CancelAfter(MissedWakeUp);
                try
                {
                    await _wakeUps.Reader.ReadAsync(timeout.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
                {
                    // Nobody knocked: look anyway.
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The broker or the database is away, or a row is not ours to read: nothing is lost, try again.
                Log.RelayFailed(logger, exception);
                await PauseAsync(stoppingToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<int> RelayBatchAsync(CancellationToken stoppingToken)
    {
        await using var connection = await database.OpenConnectionAsync(stoppingToken).ConfigureAwait(false);
        await using var transaction = await connection.BeginTransactionAsync(stoppingToken).ConfigureAwait(false);
        var batch = await ClaimAsync(connection, transaction, stoppingToken).ConfigureAwait(false);
        if (batch.Count == 0) return 0;

        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        timeout.CancelAfter(PublishTimeout);
        await Task.WhenAll(batch.Select(row => PublishAsync(row, timeout.Token))).ConfigureAwait(false);

        await using var mark = new NpgsqlCommand("UPDATE outbox_messages SET published_at = now() WHERE position = ANY($1)", connection, transaction);
        mark.Parameters.Add(new() { Value = batch.Select(row => row.Position).ToArray() });
        await mark.ExecuteNonQueryAsync(stoppingToken).ConfigureAwait(false);
        await transaction.CommitAsync(stoppingToken).ConfigureAwait(false);
        return batch.Count;
    }

    private async Task PublishAsync(OutboxRow row, CancellationToken cancellationToken)
    {
        var type = EventTypes.Resolve(row.Type);
        var integrationEvent = (IntegrationEvent)JsonSerializer.Deserialize(row.Payload, type, EventTypes.Json)!;
        // The trace of the request that wrote the row goes on through the broker.
        using var activity = MessagingTelemetry.Source.StartActivity("publish " + row.Type, ActivityKind.Producer, integrationEvent.TraceParent);
        await bus.Publish(integrationEvent, type, context => context.MessageId = integrationEvent.EventId, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<List<OutboxRow>> ClaimAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var claim = new NpgsqlCommand(
            "SELECT position, type, payload FROM outbox_messages WHERE published_at IS NULL ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED", connection, transaction);
        claim.Parameters.Add(new() { Value = BatchSize });
        await using var reader = await claim.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        var batch = new List<OutboxRow>();
        while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            batch.Add(new OutboxRow(reader.GetInt64(0), reader.GetString(1), reader.GetString(2)));
        return batch;
    }

    private async Task CleanUpAsync(CancellationToken cancellationToken)
    {
        await using var delete = database.CreateCommand("DELETE FROM outbox_messages WHERE published_at < $1");
        delete.Parameters.Add(new() { Value = time.GetUtcNow() - Retention });
        await delete.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        await using var inbox = database.CreateCommand("DELETE FROM inbox_messages WHERE handled_at < $1");
        // Far longer than any broker holds a message back.
        inbox.Parameters.Add(new() { Value = time.GetUtcNow() - TimeSpan.FromDays(30) });
        await inbox.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task PauseAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Task.Delay(FailurePause, time, stoppingToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The loop ends by its own condition.
        }
    }

    private sealed record OutboxRow(long Position, string Type, string Payload);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The outbox relay could not publish; it will try again")]
        public static partial void RelayFailed(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Warning, "The outbox listener lost its connection; it will reconnect")]
        public static partial void ListenFailed(ILogger logger, Exception exception);
    }
}
