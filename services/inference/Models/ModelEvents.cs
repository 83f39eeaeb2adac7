using System.Threading.Channels;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Inference.Models;

/// <summary>
/// Publishes what happened to models. A broker that is away must not hold up a load, so events wait in a short queue;
/// when it overflows the oldest are dropped (they are news, not records).
/// </summary>
internal sealed partial class ModelEvents(IEventPublisher publisher, ILogger<ModelEvents> logger) : BackgroundService
{
    private readonly Channel<IntegrationEvent> _waiting = Channel.CreateBounded<IntegrationEvent>(
        new BoundedChannelOptions(64) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    public void Publish(IntegrationEvent integrationEvent) => _waiting.Writer.TryWrite(integrationEvent);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var integrationEvent in _waiting.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
                limit.CancelAfter(TimeSpan.FromSeconds(30));
                await publisher.PublishAsync(integrationEvent, limit.Token);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                Log.NotPublished(logger, exception, integrationEvent.GetType().Name);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The event {Event} was not published")]
        public static partial void NotPublished(ILogger logger, Exception exception, string @event);
    }
}
