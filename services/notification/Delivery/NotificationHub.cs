using System.Collections.Concurrent;
using System.Threading.Channels;
using Fleet.Notification.Notifications;

namespace Fleet.Notification.Delivery;

/// <summary>
/// Open streams of this replica. Carries ids only; each stream reads its row itself, with its reader's permission.
/// </summary>
internal sealed class NotificationHub
{
    /// <summary>PostgreSQL channel; the payload is "&lt;user id or administrators&gt; &lt;notification id&gt;".</summary>
    public const string Channel = "fleet_notifications";

    // A stream this far behind is ended; its browser reconnects with Last-Event-ID and reads what it missed.
    private const int MaxPending = 256;

    private readonly ConcurrentDictionary<Subscription, byte> _subscriptions = new();

    public Subscription Subscribe(Reader reader)
    {
        var subscription = new Subscription(this, reader);
        _subscriptions[subscription] = 0;
        return subscription;
    }

    /// <param name="userId">Null for all administrators.</param>
    public void Publish(Guid? userId, Guid notificationId)
    {
        foreach (var (subscription, _) in _subscriptions)
        {
            var concerned = userId is { } id ? subscription.Reader.UserId == id : subscription.Reader.IsAdministrator;
            if (concerned)
                subscription.Offer(notificationId);
        }
    }

    /// <summary>Notifications may have been missed: every stream ends, and its client reconnects from where it was.</summary>
    public void EndAll()
    {
        foreach (var (subscription, _) in _subscriptions)
            subscription.Complete();
    }

    internal sealed class Subscription(NotificationHub hub, Reader reader) : IDisposable
    {
        private readonly Channel<Guid> _pending = System.Threading.Channels.Channel.CreateBounded<Guid>(MaxPending);

        public Reader Reader => reader;

        public ChannelReader<Guid> Pending => _pending.Reader;

        public void Offer(Guid notificationId)
        {
            if (!_pending.Writer.TryWrite(notificationId))
                Complete();
        }

        public void Complete() => _pending.Writer.TryComplete();

        public void Dispose() => hub._subscriptions.TryRemove(this, out _);
    }
}
