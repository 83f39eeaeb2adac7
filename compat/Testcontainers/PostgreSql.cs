using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using Fleet.Provisioning.Servers;
using Npgsql;

namespace Testcontainers.PostgreSql;

public sealed class PostgreSqlBuilder : LocalContainerBuilder<PostgreSqlBuilder, PostgreSqlContainer>
{
    public const string DefaultDatabase = "postgres";
    public const string DefaultUsername = "postgres";
    public const string DefaultPassword = "postgres";
    public const ushort PostgreSqlPort = 5432;

    private string _database = DefaultDatabase;
    private string _username = DefaultUsername;
    private string _password = DefaultPassword;

    private protected override IReadOnlyList<string> ServerNames => ["pgvector", "postgres"];

    public PostgreSqlBuilder WithDatabase(string database)
    {
        _database = database;
        return this;
    }

    public PostgreSqlBuilder WithUsername(string username)
    {
        _username = username;
        return this;
    }

    public PostgreSqlBuilder WithPassword(string password)
    {
        _password = password;
        return this;
    }

    public override PostgreSqlContainer Build() => new(ContainerName, _database, _username, _password);
}

public sealed class PostgreSqlContainer : LocalContainer
{
    private readonly string _database;
    private readonly string _username;
    private readonly string _password;

    internal PostgreSqlContainer(string? name, string database, string username, string password)
        : base(name)
    {
        _database = database;
        _username = username;
        _password = password;
    }

    public string GetConnectionString() => new NpgsqlConnectionStringBuilder(Launch.ConnectionString) { Database = _database }.ConnectionString;

    private protected override ServerLaunch Describe(ServerInstallation installation, string dataDirectory) =>
        installation.PostgreSql(dataDirectory, LocalServers.Ports.Get(Id), _password, durable: false, _username);

    private protected override async Task AfterStartAsync(CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(Launch.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection) { Parameters = { new() { Value = _database } } };
        if (await exists.ExecuteScalarAsync(cancellationToken) is not null)
            return;
        // A name cannot be a parameter of CREATE DATABASE.
        var quoted = '"' + _database.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';
        await using var create = new NpgsqlCommand($"CREATE DATABASE {quoted}", connection);
        await create.ExecuteNonQueryAsync(cancellationToken);
    }
}
