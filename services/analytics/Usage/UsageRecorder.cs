using Npgsql;
using NpgsqlTypes;

namespace Fleet.Analytics.Usage;

/// <summary>Writes a fact and its share of the daily roll-up in one statement of the event's transaction.</summary>
internal static class UsageRecorder
{
    /// <returns>False when the run was counted before.</returns>
    public static async Task<bool> RecordAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, UsageFact fact, CancellationToken cancellationToken)
    {
        // The roll-up takes its row from what the first part inserted: a run that is already there adds nothing.
        await using var command = new NpgsqlCommand(
            """
            WITH fact AS (
                INSERT INTO usage_facts (run_id, user_id, model, occurred_at, failed, ending, surface, prompt_tokens, cached_tokens,
                                         completion_tokens, citations, duration_ms, first_token_ms)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                ON CONFLICT (run_id) DO NOTHING
                RETURNING *)
            INSERT INTO usage_daily AS total (user_id, day, model, requests, failed, prompt_tokens, cached_tokens, completion_tokens,
                                              duration_ms, first_token_ms, first_tokens)
            SELECT user_id, (occurred_at AT TIME ZONE 'UTC')::date, model, 1, failed::int, prompt_tokens, cached_tokens, completion_tokens,
                   duration_ms, coalesce(first_token_ms, 0), (first_token_ms IS NOT NULL)::int
            FROM fact
            ON CONFLICT (user_id, day, model) DO UPDATE SET
                requests = total.requests + excluded.requests,
                failed = total.failed + excluded.failed,
                prompt_tokens = total.prompt_tokens + excluded.prompt_tokens,
                cached_tokens = total.cached_tokens + excluded.cached_tokens,
                completion_tokens = total.completion_tokens + excluded.completion_tokens,
                duration_ms = total.duration_ms + excluded.duration_ms,
                first_token_ms = total.first_token_ms + excluded.first_token_ms,
                first_tokens = total.first_tokens + excluded.first_tokens
            """, connection, transaction)
        {
            Parameters =
            {
                new() { Value = fact.RunId },
                new() { Value = fact.UserId },
                new() { Value = fact.Model },
                new() { Value = fact.OccurredAt.ToUniversalTime() },
                new() { Value = fact.Failed },
                new() { Value = fact.Ending },
                new() { Value = fact.Surface },
                new() { Value = fact.PromptTokens },
                new() { Value = fact.CachedTokens },
                new() { Value = fact.CompletionTokens },
                new() { Value = fact.Citations },
                new() { Value = fact.Duration.TotalMilliseconds },
                new() { Value = (object?)fact.TimeToFirstToken?.TotalMilliseconds ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Double },
            },
        };
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }
}
