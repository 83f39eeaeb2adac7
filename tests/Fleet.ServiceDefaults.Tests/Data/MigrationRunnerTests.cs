using Fleet.ServiceDefaults.Data;
using Fleet.Testing;
using Npgsql;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Data;

public sealed class MigrationRunnerTests : IAsyncLifetime
{
    private TestDatabase _database = null!;

    public async ValueTask InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Three_replicas_starting_together_apply_each_migration_once()
    {
        var services = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => StartAsync()));

        Assert.Equal(1L, await _database.ScalarAsync("SELECT count(*) FROM schema_migrations WHERE name = '0001_effects'"));

        foreach (var service in services) await service.DisposeAsync();
    }

    [Fact]
    public async Task A_migration_edited_after_it_was_applied_stops_the_start()
    {
        await (await StartAsync()).DisposeAsync();
        await _database.ExecuteAsync("UPDATE schema_migrations SET checksum = 'edited'");

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(StartAsync);

        Assert.Contains("0001_effects", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Readiness_fails_when_the_database_is_gone_and_liveness_does_not()
    {
        await using var service = await StartAsync();
        using (var ready = await service.Client.GetAsync("/health/ready")) Assert.True(ready.IsSuccessStatusCode);
        await using (var admin = new NpgsqlConnection(await BackingServers.PostgreSqlAsync()))
        {
            await admin.OpenAsync();
            await using var drop = new NpgsqlCommand($"DROP DATABASE {_database.Name} WITH (FORCE)", admin);
            await drop.ExecuteNonQueryAsync();
        }

        using var unready = await service.Client.GetAsync("/health/ready");
        using var live = await service.Client.GetAsync("/health/live");

        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, unready.StatusCode);
        Assert.True(live.IsSuccessStatusCode);
    }

    private Task<TestService> StartAsync() => TestService.StartAsync(
        builder => builder.AddFleetDatabase("testdb", typeof(TestService).Assembly),
        configuration: new Dictionary<string, string?> { ["ConnectionStrings:testdb"] = _database.ConnectionString });
}
