using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Notification.Delivery;

/// <summary>Holds one connection that LISTENs, so that a notification written by any replica reaches the streams of this one.</summary>
internal sealed partial class NotificationListener(
    NpgsqlDataSource database, NotificationHub hub, TimeProvider time, IOptions<DeliveryOptions> options, ILogger<NotificationListener> logger)
    : BackgroundService
{
    // The server answers requests only after this: no stream opens before its replica listens.
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await base.StartAsync(cancellationToken);
        await Task.WhenAny(_listening.Task, Task.Delay(StartPatience, time, cancellationToken));
    }

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
                break;
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or System.Net.Sockets.SocketException)
            {
                Log.ListeningInterrupted(logger, exception);
                hub.EndAll();
                await Task.Delay(options.Value.ReconnectDelay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        hub.EndAll();
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        connection.Notification += (_, notification) => Dispatch(notification.Payload);

        await using (var command = new NpgsqlCommand($"LISTEN {NotificationHub.Channel}", connection))
            await command.ExecuteNonQueryAsync(cancellationToken);

        // A stream opened before LISTEN took effect (again) may have missed something.
        hub.EndAll();
        _listening.TrySetResult();
        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    private void Dispatch(string payload)
    {
        var space = payload.IndexOf(' ', StringComparison.Ordinal);
        if (space < 0 || !Guid.TryParse(payload.AsSpan(space + 1), out var id))
            return;

        hub.Publish(Guid.TryParse(payload.AsSpan(0, space), out var userId) ? userId : null, id);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Listening for notifications was interrupted; streams end and reconnect")]
        public static partial void ListeningInterrupted(ILogger logger, Exception exception);
    }
}
