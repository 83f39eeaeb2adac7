using System.Net.Sockets;
using Npgsql;
using StackExchange.Redis;
using Testcontainers.PostgreSql;
using Testcontainers.RabbitMq;
using Testcontainers.Redis;

namespace Fleet.Compat.Testcontainers.Tests;

/// <summary>Written against the real library's API: on a full feed the same tests run containers.</summary>
public sealed class ContainerTests
{
    [Fact]
    public async Task PostgreSql_WithDatabaseUserAndPassword_ServesThemWithPgvector()
    {
        await using var container = new PostgreSqlBuilder().WithImage("pgvector/pgvector:pg17")
            .WithDatabase("it's a \"name\"").WithUsername("someone").WithPassword("pass-1").Build();
        await container.StartAsync(TestContext.Current.CancellationToken);

        await using var source = NpgsqlDataSource.Create(container.GetConnectionString());
        await using var command = source.CreateCommand(
            "CREATE EXTENSION vector; CREATE EXTENSION pg_trgm; SELECT current_database() || '|' || current_user || '|' || ('[3,4]'::vector <-> '[0,0]')");

        Assert.Equal("it's a \"name\"|someone|5", await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task PostgreSql_WithAWrongPassword_Refuses()
    {
        await using var container = new PostgreSqlBuilder().WithImage("pgvector/pgvector:pg17").Build();
        await container.StartAsync(TestContext.Current.CancellationToken);
        var wrong = new NpgsqlConnectionStringBuilder(container.GetConnectionString()) { Password = "wrong", Pooling = false };

        await using var connection = new NpgsqlConnection(wrong.ConnectionString);
        var refusal = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));

        Assert.Equal(PostgresErrorCodes.InvalidPassword, refusal.SqlState);
    }

    [Fact]
    public async Task RabbitMqAndRedis_StartedAndDisposed_ServeAndThenAreGone()
    {
        var rabbitMq = new RabbitMqBuilder().WithImage("rabbitmq:4-management").Build();
        var redis = new RedisBuilder().WithImage("valkey/valkey:8").Build();
        await Task.WhenAll(rabbitMq.StartAsync(TestContext.Current.CancellationToken), redis.StartAsync(TestContext.Current.CancellationToken));
        var redisPort = redis.GetMappedPublicPort(6379);

        Assert.StartsWith("amqp://rabbitmq:rabbitmq@", rabbitMq.GetConnectionString(), StringComparison.Ordinal);
        using (var client = await ConnectionMultiplexer.ConnectAsync(redis.GetConnectionString()))
            Assert.True(await client.GetDatabase().StringSetAsync("key", "value"));

        await rabbitMq.DisposeAsync();
        await redis.DisposeAsync();
        using var probe = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => probe.ConnectAsync(redis.Hostname, redisPort, TestContext.Current.CancellationToken).AsTask());
    }
}
