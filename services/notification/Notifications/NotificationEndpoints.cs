using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Notification.Telemetry;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Notification.Notifications;

/// <param name="Kind">Stable name, e.g. <c>document.indexed</c>.</param>
/// <param name="Parameters">What a client needs to write its own text.</param>
/// <param name="Title">In the language of Accept-Language (Korean or English).</param>
/// <param name="Body">One sentence in that language.</param>
/// <param name="Quiet">Not counted as unread: the reader most likely saw it happen.</param>
public sealed record NotificationView(
    Guid Id, string Kind, IReadOnlyDictionary<string, string> Parameters, string Title, string Body, bool Quiet,
    DateTimeOffset CreatedAt, bool Read, DateTimeOffset? ReadAt)
{
    internal static NotificationView Of(StoredNotification notification, string language)
    {
        var (title, body) = NotificationText.Render(notification, language);
        return new NotificationView(notification.Id, notification.Kind, notification.Parameters, title, body, notification.Quiet,
            notification.CreatedAt, notification.ReadAt is not null, notification.ReadAt);
    }
}

/// <param name="UnreadCount">All unread ones that are not quiet, not only those of this page.</param>
public sealed record NotificationPage(IReadOnlyList<NotificationView> Items, string? NextCursor, long UnreadCount);

public sealed record UnreadCount(long Count);

public sealed record MarkNotification([Required] bool? Read);

internal static class NotificationEndpoints
{
    public static void AddNotifications(this WebApplicationBuilder builder)
    {
        builder.Services.AddValidation();
        builder.Services.AddSingleton<NotificationStore>();
        builder.Services.AddSingleton<NotificationWriter>();
        builder.Services.AddSingleton<NotificationMetrics>();
    }

    public static void MapNotifications(this WebApplication app)
    {
        var group = app.MapGroup("/api/notifications").WithTags("Notifications").RequireAuthorization(FleetPolicies.User);

        group.MapGet("", List).WithName("ListNotifications").WithSummary("Your notifications, newest first");
        group.MapGet("/unread", Unread).WithName("CountUnreadNotifications").WithSummary("How many are unread, quiet ones left out");
        group.MapPatch("/{id:guid}", Mark).WithName("MarkNotification").WithSummary("Mark one as read or unread");
        group.MapPost("/read-all", MarkAll).WithName("MarkAllNotificationsRead").WithSummary("Mark all as read");
    }

    internal static Reader AsReader(this ClaimsPrincipal user) => new(user.UserId(), user.IsAdministrator());

    private static async Task<Results<Ok<NotificationPage>, ProblemHttpResult>> List(
        string? cursor, bool? unread, HttpRequest request, ClaimsPrincipal user, NotificationStore store,
        CancellationToken cancellationToken, [Range(1, 200)] int limit = 50)
    {
        Cursor? before = null;
        if (cursor is not null)
        {
            if (!Cursor.TryDecode(cursor, out var decoded))
                return Problems.Create(StatusCodes.Status400BadRequest, "invalid-cursor", "The cursor is not one of ours.");

            before = decoded;
        }

        var reader = user.AsReader();
        var found = await store.ListAsync(reader, before, unread, limit + 1, cancellationToken);
        var language = NotificationText.LanguageOf(request);
        var items = found.Take(limit).Select(notification => NotificationView.Of(notification, language)).ToList();
        var next = found.Count > limit ? new Cursor(items[^1].CreatedAt, items[^1].Id).Encode() : null;
        return TypedResults.Ok(new NotificationPage(items, next, await store.CountUnreadAsync(reader, cancellationToken)));
    }

    private static async Task<Ok<UnreadCount>> Unread(ClaimsPrincipal user, NotificationStore store, CancellationToken cancellationToken) =>
        TypedResults.Ok(new UnreadCount(await store.CountUnreadAsync(user.AsReader(), cancellationToken)));

    private static async Task<Results<Ok<NotificationView>, ProblemHttpResult>> Mark(
        Guid id, MarkNotification body, HttpRequest request, ClaimsPrincipal user, NotificationStore store, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var notification = await store.MarkAsync(user.AsReader(), id, body.Read!.Value, time.GetUtcNow(), cancellationToken);
        return notification is null
            ? Problems.NotFound("notification")
            : TypedResults.Ok(NotificationView.Of(notification, NotificationText.LanguageOf(request)));
    }

    private static async Task<NoContent> MarkAll(
        ClaimsPrincipal user, NotificationStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        await store.MarkAllReadAsync(user.AsReader(), time.GetUtcNow(), cancellationToken);
        return TypedResults.NoContent();
    }
}
