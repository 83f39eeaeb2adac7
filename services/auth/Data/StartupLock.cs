using Npgsql;

namespace Fleet.Auth.Data;

/// <summary>One replica at a time prepares what all of them share: the first signing key, the first administrator.</summary>
internal static class StartupLock
{
    // Any constant will do; it only has to be the same in every replica and differ from the migrations' one.
    private const long LockKey = 0x464C454554415554;

    public static async Task RunAsync(NpgsqlDataSource database, Func<Task> work, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(connection, "SELECT pg_advisory_lock($1)", cancellationToken);
        try
        {
            await work();
        }
        finally
        {
            await ExecuteAsync(connection, "SELECT pg_advisory_unlock($1)", CancellationToken.None);
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // Constants of this file.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        command.Parameters.Add(new() { Value = LockKey });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
