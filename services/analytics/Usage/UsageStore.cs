using System.Data.Common;
using Npgsql;

namespace Fleet.Analytics.Usage;

internal sealed class UsageStore(NpgsqlDataSource database)
{
    private const string Sums =
        """
        coalesce(sum(requests), 0)::bigint, coalesce(sum(failed), 0)::bigint, coalesce(sum(prompt_tokens), 0)::bigint,
        coalesce(sum(cached_tokens), 0)::bigint, coalesce(sum(completion_tokens), 0)::bigint,
        sum(duration_ms) / nullif(sum(requests), 0)::double precision, sum(first_token_ms) / nullif(sum(first_tokens), 0)::double precision
        """;

    public async Task<UsageReport> ReadAsync(Guid userId, UsageRange range, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        foreach (var sql in new[]
        {
            $"SELECT {Sums} FROM usage_daily WHERE user_id = $1 AND day BETWEEN $2 AND $3",
            """
            SELECT count(*) FILTER (WHERE rating = 'up'), count(*) FILTER (WHERE rating = 'down') FROM feedback
            WHERE user_id = $1 AND (given_at AT TIME ZONE 'UTC')::date BETWEEN $2 AND $3
            """,
            """
            SELECT count(*) FROM indexed_documents
            WHERE user_id = $1 AND (indexed_at AT TIME ZONE 'UTC')::date BETWEEN $2 AND $3
            """,
            $"SELECT model, {Sums} FROM usage_daily WHERE user_id = $1 AND day BETWEEN $2 AND $3 GROUP BY model ORDER BY sum(requests) DESC, model",
            $"SELECT day, {Sums} FROM usage_daily WHERE user_id = $1 AND day BETWEEN $2 AND $3 GROUP BY day ORDER BY day",
        })
        {
            batch.BatchCommands.Add(new(sql)
            {
                Parameters = { new() { Value = userId }, new() { Value = range.From }, new() { Value = range.To } },
            });
        }

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);

        await reader.ReadAsync(cancellationToken);
        var totals = ReadTotals(reader, 0);

        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var feedback = new FeedbackCounts(reader.GetInt64(0), reader.GetInt64(1));

        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var documents = reader.GetInt64(0);

        await reader.NextResultAsync(cancellationToken);
        var byModel = new List<ModelUsage>();
        while (await reader.ReadAsync(cancellationToken))
            byModel.Add(new ModelUsage(reader.GetString(0), ReadTotals(reader, 1)));

        await reader.NextResultAsync(cancellationToken);
        var byDay = new List<DayUsage>();
        while (await reader.ReadAsync(cancellationToken))
            byDay.Add(new DayUsage(reader.GetFieldValue<DateOnly>(0), ReadTotals(reader, 1)));

        return new UsageReport(range.From, range.To, totals, feedback, documents, byModel, byDay);
    }

    /// <summary>Users with any use in the range, by id: a page stays stable while new use arrives.</summary>
    public async Task<IReadOnlyList<UserUsage>> ListByUserAsync(UsageRange range, Guid? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            SELECT d.user_id, u.user_name, {Sums} FROM usage_daily d LEFT JOIN users u ON u.user_id = d.user_id
            WHERE d.day BETWEEN $1 AND $2 AND d.user_id > $3
            GROUP BY d.user_id, u.user_name ORDER BY d.user_id LIMIT $4
            """);
        command.Parameters.Add(new() { Value = range.From });
        command.Parameters.Add(new() { Value = range.To });
        command.Parameters.Add(new() { Value = after ?? Guid.Empty });
        command.Parameters.Add(new() { Value = limit });

        var users = new List<UserUsage>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.IsDBNull(1) ? null : reader.GetString(1);
            users.Add(new UserUsage(reader.GetGuid(0), name, ReadTotals(reader, 2)));
        }

        return users;
    }

    private static UsageTotals ReadTotals(DbDataReader reader, int first) => new(
        reader.GetInt64(first),
        reader.GetInt64(first + 1),
        reader.GetInt64(first + 2),
        reader.GetInt64(first + 3),
        reader.GetInt64(first + 4),
        reader.IsDBNull(first + 5) ? null : reader.GetDouble(first + 5),
        reader.IsDBNull(first + 6) ? null : reader.GetDouble(first + 6));
}
