using Aspire.Hosting.ApplicationModel;
using Npgsql;

namespace Aspire.Hosting.Orchestration;

/// <summary>Creates the databases of a local server, with the extensions that only a superuser may create.</summary>
internal static class PostgresDatabases
{
    private static readonly string[] Extensions = ["vector", "pg_trgm"];

    public static async Task EnsureAsync(PostgresDatabaseResource database, CancellationToken cancellationToken)
    {
        var server = await database.Parent.Server.GetValueAsync(cancellationToken);
        await using (var connection = await OpenAsync(server!, "postgres", cancellationToken))
        {
            await using var exists = new NpgsqlCommand("select 1 from pg_database where datname = $1", connection)
            {
                Parameters = { new() { Value = database.DatabaseName } },
            };
            if (await exists.ExecuteScalarAsync(cancellationToken) is null)
            {
                var quoted = new NpgsqlCommandBuilder().QuoteIdentifier(database.DatabaseName);
                await ExecuteAsync(connection, $"create database {quoted}", cancellationToken);
            }
        }

        await using var inside = await OpenAsync(server!, database.DatabaseName, cancellationToken);
        foreach (var extension in Extensions)
        {
            await using var available = new NpgsqlCommand("select 1 from pg_available_extensions where name = $1", inside)
            {
                Parameters = { new() { Value = extension } },
            };
            if (await available.ExecuteScalarAsync(cancellationToken) is not null)
                await ExecuteAsync(inside, $"create extension if not exists {extension}", cancellationToken);
        }
    }

    public static string WithoutDatabase(string connectionString)
    {
        var builder = new NpgsqlConnectionStringBuilder(connectionString);
        builder.Remove("Database");
        return builder.ConnectionString;
    }

    private static async Task<NpgsqlConnection> OpenAsync(string server, string database, CancellationToken cancellationToken)
    {
        var text = new NpgsqlConnectionStringBuilder(server) { Database = database, Pooling = false }.ConnectionString;
        var connection = new NpgsqlConnection(text);
        await connection.OpenAsync(cancellationToken);
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = connection.CreateCommand();
        // The text is our own: a quoted identifier or a name from the list above.
#pragma warning disable CA2100
        command.CommandText = sql;
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
