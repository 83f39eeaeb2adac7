using System.Security.Claims;
using Fleet.Notification.Notifications;
using Fleet.Notification.Telemetry;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Fleet.Notification.Delivery;

internal static class DeliveryEndpoints
{
    // Replayed to a client that comes back; one that was away longer reads the list.
    private const int MaxReplay = 200;

    public static void AddLiveDelivery(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IValidateOptions<DeliveryOptions>, DeliveryOptionsValidator>();
        builder.Services.AddOptions<DeliveryOptions>().BindConfiguration(DeliveryOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<NotificationHub>();
        builder.Services.AddHostedService<NotificationListener>();
    }

    public static void MapLiveDelivery(this WebApplication app) =>
        app.MapGet("/api/notifications/stream", Stream)
            .WithTags("Notifications").WithName("StreamNotifications")
            .WithSummary("Live notifications (SSE): `unread` first, then `notification`; Last-Event-ID replays what was missed")
            .RequireAuthorization(FleetPolicies.User);

    /// <remarks>Subscribe, then replay, then follow: what arrives during the replay is pending and not lost; ids sent twice are dropped.</remarks>
    private static async Task Stream(
        HttpContext context, ClaimsPrincipal user, NotificationStore store, NotificationHub hub, NotificationMetrics metrics,
        IHostApplicationLifetime lifetime, TimeProvider time, IOptions<DeliveryOptions> options, IOptions<JsonOptions> json)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        var cancellationToken = ending.Token;
        var reader = user.AsReader();
        var language = NotificationText.LanguageOf(context.Request);
        var writer = new EventStreamWriter(context.Response, json.Value.SerializerOptions);
        using var subscription = hub.Subscribe(reader);
        using var open = metrics.StreamOpened();

        try
        {
            await writer.BeginAsync(cancellationToken);
            await writer.WriteAsync("unread", null, new UnreadCount(await store.CountUnreadAsync(reader, cancellationToken)), cancellationToken);

            var sent = new HashSet<Guid>();
            if (Guid.TryParse(context.Request.Headers["Last-Event-ID"].ToString(), out var lastSeen))
            {
                foreach (var missed in await store.ListSinceAsync(reader, lastSeen, MaxReplay, cancellationToken))
                {
                    sent.Add(missed.Id);
                    await SendAsync(missed);
                }
            }

            using var pings = new PeriodicTimer(options.Value.PingInterval, time);
            var ping = pings.WaitForNextTickAsync(cancellationToken).AsTask();
            var arrival = subscription.Pending.WaitToReadAsync(cancellationToken).AsTask();
            while (true)
            {
                if (await Task.WhenAny(arrival, ping) == ping)
                {
                    await ping;
                    await writer.PingAsync(cancellationToken);
                    ping = pings.WaitForNextTickAsync(cancellationToken).AsTask();
                    continue;
                }

                if (!await arrival)
                    return;

                while (subscription.Pending.TryRead(out var id))
                {
                    if (!sent.Remove(id) && await store.FindAsync(reader, id, cancellationToken) is { } notification)
                        await SendAsync(notification);
                }

                arrival = subscription.Pending.WaitToReadAsync(cancellationToken).AsTask();
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The reader left or this replica is stopping: nothing to report.
        }

        Task SendAsync(StoredNotification notification) =>
            writer.WriteAsync("notification", notification.Id.ToString(), NotificationView.Of(notification, language), cancellationToken);
    }
}
