using Npgsql;
using Testcontainers.PostgreSql;
using Testcontainers.RabbitMq;
using Testcontainers.Redis;

namespace Fleet.Testing;

/// <summary>
/// The real servers tests run against: the ones <c>./fleet test</c> started (connection strings in the environment), else
/// containers, once per test process. Nothing here is a fake.
/// </summary>
public static class BackingServers
{
    private static readonly Lazy<Task<string>> LazyPostgreSql = new(() => FromEnvironmentAsync("postgres", async () =>
    {
        var container = new PostgreSqlBuilder().WithImage("pgvector/pgvector:pg17").Build();
        await container.StartAsync();
        return container.GetConnectionString();
    }));

    private static readonly Lazy<Task<string>> LazyRabbitMq = new(() => FromEnvironmentAsync("rabbitmq", async () =>
    {
        var container = new RabbitMqBuilder().WithImage("rabbitmq:4-management").Build();
        await container.StartAsync();
        return container.GetConnectionString();
    }));

    private static readonly Lazy<Task<string>> LazyRedis = new(() => FromEnvironmentAsync("redis", async () =>
    {
        var container = new RedisBuilder().WithImage("valkey/valkey:8").Build();
        await container.StartAsync();
        return container.GetConnectionString();
    }));

    /// <summary>A superuser's connection string; use <see cref="TestDatabase"/> rather than this database itself.</summary>
    public static Task<string> PostgreSqlAsync() => LazyPostgreSql.Value;

    /// <summary>An <c>amqp://</c> address; pair it with <see cref="NewPrefix"/> as <c>Messaging:Prefix</c>.</summary>
    public static Task<string> RabbitMqAsync() => LazyRabbitMq.Value;

    /// <summary>A StackExchange.Redis configuration string. Keys are shared by all tests: prefix them or use fresh ids.</summary>
    public static Task<string> RedisAsync() => LazyRedis.Value;

    /// <summary>A prefix that keeps one test's queues and exchanges apart from every other's.</summary>
    public static string NewPrefix() => "t" + Guid.NewGuid().ToString("N")[..12] + "-";

    private static Task<string> FromEnvironmentAsync(string name, Func<Task<string>> start) =>
        Environment.GetEnvironmentVariable("ConnectionStrings__" + name) is { Length: > 0 } configured ? Task.FromResult(configured) : start();
}

/// <summary>A database of one test class, dropped with it.</summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private readonly string _server;

    private TestDatabase(string server, string name)
    {
        _server = server;
        Name = name;
        ConnectionString = new NpgsqlConnectionStringBuilder(server) { Database = name, MaxPoolSize = 20, IncludeErrorDetail = true }.ConnectionString;
    }

    public string Name { get; }

    public string ConnectionString { get; }

    public static async Task<TestDatabase> CreateAsync()
    {
        var server = await BackingServers.PostgreSqlAsync();
        var database = new TestDatabase(server, "test_" + Guid.NewGuid().ToString("N"));
        await ExecuteAsync(server, $"CREATE DATABASE {database.Name}");
        return database;
    }

    public async Task ExecuteAsync(string sql) => await ExecuteAsync(ConnectionString, sql);

    /// <summary>The first column of the first row, or null.</summary>
    public async Task<object?> ScalarAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        await using var command = Command(sql, connection);
        var value = await command.ExecuteScalarAsync();
        return value is DBNull ? null : value;
    }

    public async ValueTask DisposeAsync()
    {
        await using (var connection = new NpgsqlConnection(ConnectionString)) NpgsqlConnection.ClearPool(connection);
        await ExecuteAsync(_server, $"DROP DATABASE IF EXISTS {Name} WITH (FORCE)");
    }

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = Command(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static NpgsqlCommand Command(string sql, NpgsqlConnection connection)
    {
#pragma warning disable CA2100 // Tests write their own SQL.
        return new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
    }
}
