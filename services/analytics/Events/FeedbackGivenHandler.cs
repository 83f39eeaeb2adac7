using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Npgsql;

namespace Fleet.Analytics.Events;

internal sealed class FeedbackGivenHandler : IEventHandler<FeedbackGiven>
{
    public async Task HandleAsync(FeedbackGiven integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        // Events may arrive out of order: an older judgement never replaces a newer one.
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO feedback (user_id, message_id, model, rating, given_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (user_id, message_id) DO UPDATE
                SET model = excluded.model, rating = excluded.rating, given_at = excluded.given_at
                WHERE feedback.given_at <= excluded.given_at
            """, scope.Connection, scope.Transaction)
        {
            Parameters =
            {
                new() { Value = integrationEvent.UserId }, new() { Value = integrationEvent.MessageId }, new() { Value = integrationEvent.Model }, new() { Value = integrationEvent.Rating },
                new() { Value = integrationEvent.OccurredAt.ToUniversalTime() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
