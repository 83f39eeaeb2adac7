using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Chat.Data;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace Fleet.Chat.Sessions;

internal static class FeedbackEndpoints
{
    public static void MapFeedback(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapPost("/api/messages/{id:guid}/feedback", GiveAsync).WithTags("Messages").WithName("GiveFeedback")
            .WithSummary("Judge a reply; a later judgement replaces the earlier one").RequireAuthorization(FleetPolicies.User);

    private static async Task<Results<NoContent, ProblemHttpResult>> GiveAsync(Guid id, FeedbackRequest request, ClaimsPrincipal user,
        SessionStore sessions, ChatDbContext db, Outbox outbox, TimeProvider time, CancellationToken cancellationToken)
    {
        var userId = user.UserId();
        if (await sessions.FindMessageAsync(userId, id, cancellationToken).ConfigureAwait(false) is not { } message)
            return Problems.NotFound("message");
        if (message.Role != MessageRole.Assistant)
            return Problems.Create(StatusCodes.Status422UnprocessableEntity, "not-a-reply", "Only replies can be judged");

        var feedback = await db.Feedback.SingleOrDefaultAsync(f => f.MessageId == id && f.UserId == userId, cancellationToken)
            .ConfigureAwait(false);
        var now = time.GetUtcNow();
        if (feedback is null)
        {
            feedback = new Feedback { MessageId = id, UserId = userId, Rating = request.Rating, Reasons = [], UpdatedAt = now };
            db.Feedback.Add(feedback);
        }

        feedback.Rating = request.Rating;
        feedback.Reasons = request.Reasons ?? [];
        feedback.Comment = request.Comment;
        feedback.UpdatedAt = now;

        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await db.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
        await outbox.AddAsync(db.Database.GetDbConnection(), transaction.GetDbTransaction(), new FeedbackGiven
        {
            UserId = userId,
            MessageId = id,
            Model = message.Model ?? "",
            Rating = request.Rating,
        }, cancellationToken).ConfigureAwait(false);
        await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        return TypedResults.NoContent();
    }
}

public sealed record FeedbackRequest
{
    /// <summary>up or down.</summary>
    [Required]
    [AllowedValues("up", "down", ErrorMessage = "rating must be up or down.")]
    public required string Rating { get; init; }

    [MaxLength(16)]
    [StorableText]
    public IReadOnlyList<string>? Reasons { get; init; }

    [StringLength(4000)]
    [StorableText]
    public string? Comment { get; init; }
}
