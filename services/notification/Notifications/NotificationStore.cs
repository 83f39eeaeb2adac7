using System.Data.Common;
using System.Text.Json;
using Fleet.ServiceDefaults.Http;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Notification.Notifications;

/// <summary>What a reader may see is decided in every statement: $1 is the reader, $2 whether they administer Fleet.</summary>
internal sealed class NotificationStore(NpgsqlDataSource database)
{
    private const string Visible =
        """
        FROM notifications n LEFT JOIN administrator_reads r ON r.notification_id = n.id AND r.user_id = $1
        WHERE (n.user_id = $1 OR ($2 AND n.user_id IS NULL))
        """;

    private const string Columns = "n.id, n.kind, n.parameters, n.quiet, n.created_at, coalesce(n.read_at, r.read_at)";

    public async Task<IReadOnlyList<StoredNotification>> ListAsync(
        Reader reader, Cursor? before, bool? unread, int limit, CancellationToken cancellationToken)
    {
        await using var command = Command(
            $"""
            SELECT {Columns} {Visible}
              AND ($3::timestamptz IS NULL OR (n.created_at, n.id) < ($3, $4))
              AND ($5::boolean IS NULL OR (coalesce(n.read_at, r.read_at) IS NULL) = $5)
            ORDER BY n.created_at DESC, n.id DESC LIMIT $6
            """, reader);
        command.Parameters.Add(new() { Value = (object?)before?.Time ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        command.Parameters.Add(new() { Value = (object?)before?.Id ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = (object?)unread ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Boolean });
        command.Parameters.Add(new() { Value = limit });
        return await ReadAllAsync(command, cancellationToken);
    }

    /// <summary>What came after a notification the reader has seen, oldest first; everything is new to an id that is not known.</summary>
    public async Task<IReadOnlyList<StoredNotification>> ListSinceAsync(Reader reader, Guid lastSeen, int limit, CancellationToken cancellationToken)
    {
        await using var command = Command(
            $"""
            SELECT {Columns} {Visible}
              AND (n.created_at, n.id) > (SELECT s.created_at, s.id FROM notifications s
                                          WHERE s.id = $3 AND (s.user_id = $1 OR ($2 AND s.user_id IS NULL)))
            ORDER BY n.created_at, n.id LIMIT $4
            """, reader);
        command.Parameters.Add(new() { Value = lastSeen });
        command.Parameters.Add(new() { Value = limit });
        return await ReadAllAsync(command, cancellationToken);
    }

    public async Task<StoredNotification?> FindAsync(Reader reader, Guid id, CancellationToken cancellationToken)
    {
        await using var command = Command($"SELECT {Columns} {Visible} AND n.id = $3", reader);
        command.Parameters.Add(new() { Value = id });
        return (await ReadAllAsync(command, cancellationToken)).SingleOrDefault();
    }

    public async Task<long> CountUnreadAsync(Reader reader, CancellationToken cancellationToken)
    {
        await using var command = Command(
            $"SELECT count(*) {Visible} AND NOT n.quiet AND n.read_at IS NULL AND r.read_at IS NULL", reader);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <returns>The notification as it is now; null when there is none that this reader may see.</returns>
    public async Task<StoredNotification?> MarkAsync(Reader reader, Guid id, bool read, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using (var batch = database.CreateBatch())
        {
            // Reading twice keeps the first time.
            batch.BatchCommands.Add(new(
                "UPDATE notifications SET read_at = CASE WHEN $3 THEN coalesce(read_at, $4) END WHERE id = $2 AND user_id = $1")
            {
                Parameters = { new() { Value = reader.UserId }, new() { Value = id }, new() { Value = read }, new() { Value = now } },
            });
            if (reader.IsAdministrator)
                batch.BatchCommands.Add(read ? ReadAsAdministrator(reader.UserId, id, now) : UnreadAsAdministrator(reader.UserId, id));

            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        return await FindAsync(reader, id, cancellationToken);
    }

    public async Task MarkAllReadAsync(Reader reader, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new("UPDATE notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL")
        {
            Parameters = { new() { Value = reader.UserId }, new() { Value = now } },
        });
        if (reader.IsAdministrator)
            batch.BatchCommands.Add(ReadAsAdministrator(reader.UserId, id: null, now));

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private static NpgsqlBatchCommand ReadAsAdministrator(Guid userId, Guid? id, DateTimeOffset now) => new(
        """
        INSERT INTO administrator_reads (user_id, notification_id, read_at)
        SELECT $1, id, $3 FROM notifications WHERE user_id IS NULL AND ($2::uuid IS NULL OR id = $2)
        ON CONFLICT DO NOTHING
        """)
    {
        Parameters =
        {
            new() { Value = userId },
            new() { Value = (object?)id ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid },
            new() { Value = now },
        },
    };

    private static NpgsqlBatchCommand UnreadAsAdministrator(Guid userId, Guid id) =>
        new("DELETE FROM administrator_reads WHERE user_id = $1 AND notification_id = $2")
        {
            Parameters = { new() { Value = userId }, new() { Value = id } },
        };

    private NpgsqlCommand Command(string sql, Reader reader)
    {
        var command = database.CreateCommand(sql);
        command.Parameters.Add(new() { Value = reader.UserId });
        command.Parameters.Add(new() { Value = reader.IsAdministrator });
        return command;
    }

    private static async Task<IReadOnlyList<StoredNotification>> ReadAllAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var notifications = new List<StoredNotification>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            notifications.Add(Read(reader));

        return notifications;
    }

    private static StoredNotification Read(DbDataReader row) => new(
        row.GetGuid(0),
        row.GetString(1),
        JsonSerializer.Deserialize<Dictionary<string, string>>(row.GetString(2))!,
        row.GetBoolean(3),
        row.GetFieldValue<DateTimeOffset>(4),
        row.IsDBNull(5) ? null : row.GetFieldValue<DateTimeOffset>(5));
}
