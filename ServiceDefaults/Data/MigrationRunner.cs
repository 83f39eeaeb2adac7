using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Fleet.ServiceDefaults.Data;

/// <summary>
/// Applies migrations in the order of their numbers, each in its own transaction, under an advisory lock so that replicas
/// starting together agree. Forward only: an applied file that was edited afterwards stops the start.
/// </summary>
internal sealed partial class MigrationRunner(NpgsqlDataSource database, IEnumerable<MigrationSource> sources, ILogger<MigrationRunner> logger)
    : IHostedLifecycleService
{
    // Any constant will do; it only has to be the same in every replica.
    private const long LockKey = 0x464C4545544D4947;

    /// <summary>How long the server may take to come up before the start fails (and whoever runs us tries again).</summary>
    private static readonly TimeSpan ServerPatience = TimeSpan.FromSeconds(30);

    /// <summary>Before every other hosted service, so that none of them meets an old schema.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        await using var connection = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        await ExecuteAsync(connection, $"SELECT pg_advisory_lock({LockKey})", cancellationToken).ConfigureAwait(false);
        try
        {
            await ExecuteAsync(connection,
                "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
                cancellationToken).ConfigureAwait(false);
            var applied = await ReadAppliedAsync(connection, cancellationToken).ConfigureAwait(false);
            foreach (var migration in sources.SelectMany(source => Migration.ReadAll(source.Assembly)).OrderBy(migration => migration.Name, StringComparer.Ordinal))
            {
                if (!applied.TryGetValue(migration.Name, out var checksum))
                    await ApplyAsync(connection, migration, cancellationToken).ConfigureAwait(false);
                else if (checksum != migration.Checksum)
                    throw new InvalidOperationException($"Migration {migration.Name} was edited after it had been applied. Restore it and add a new one.");
            }
        }
        finally
        {
            await ExecuteAsync(connection, $"SELECT pg_advisory_unlock({LockKey})", CancellationToken.None).ConfigureAwait(false);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(ServerPatience);
        while (true)
        {
            try
            {
                return await database.OpenConnectionAsync(patience.Token).ConfigureAwait(false);
            }
            catch (NpgsqlException exception) when (exception.IsTransient && !patience.IsCancellationRequested)
            {
                Log.Waiting(logger);
                await Task.Delay(TimeSpan.FromMilliseconds(500), patience.Token).ConfigureAwait(false);
            }
        }
    }

    private async Task ApplyAsync(NpgsqlConnection connection, Migration migration, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await ExecuteAsync(connection, migration.Sql, cancellationToken).ConfigureAwait(false);
        await using (var insert = new NpgsqlCommand("INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", connection, transaction))
        {
            insert.Parameters.Add(new() { Value = migration.Name });
            insert.Parameters.Add(new() { Value = migration.Checksum });
            await insert.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }

        await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        // A migration may have created types (vector, enums) that open connections do not know yet.
        await connection.ReloadTypesAsync(cancellationToken).ConfigureAwait(false);
        Log.Applied(logger, migration.Name);
    }

    private static async Task<Dictionary<string, string>> ReadAppliedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var applied = new Dictionary<string, string>(StringComparer.Ordinal);
        await using var command = new NpgsqlCommand("SELECT name, checksum FROM schema_migrations", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false)) applied.Add(reader.GetString(0), reader.GetString(1));
        return applied;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // The text is an embedded resource or a constant of this file, never input.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private sealed partial record Migration(string Name, string Sql, string Checksum)
    {
        public static IEnumerable<Migration> ReadAll(Assembly assembly)
        {
            foreach (var resource in assembly.GetManifestResourceNames())
            {
                if (FileName().Match(resource) is not { Success: true } match) continue;
                using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
                var sql = reader.ReadToEnd();
                yield return new Migration(match.Groups["name"].Value, sql, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql))));
            }
        }

        [GeneratedRegex(@"\.Migrations\.(?<name>\d{4}_[A-Za-z0-9_]+)\.sql$", RegexOptions.CultureInvariant)]
        private static partial Regex FileName();
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Migration {Migration} applied")]
        public static partial void Applied(ILogger logger, string migration);

        [LoggerMessage(LogLevel.Warning, "PostgreSQL does not answer yet; trying again")]
        public static partial void Waiting(ILogger logger);
    }
}
