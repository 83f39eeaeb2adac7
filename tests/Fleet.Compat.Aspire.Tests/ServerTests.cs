using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning.Processes;
using Npgsql;

namespace Fleet.Compat.Aspire.Tests;

/// <summary>PostgreSQL run by the orchestrator itself, from wherever this machine has it.</summary>
public sealed class ServerTests
{
    private static readonly TimeSpan ServerLimit = TimeSpan.FromMinutes(10);

    [Fact]
    public async Task A_database_has_its_extensions_and_survives_a_crash_of_its_server_at_the_same_address()
    {
        var limit = TestContext.Current.CancellationToken;
        await using var fleet = new ProbeFleet();
        IResourceWithConnectionString database = fleet.Builder.AddPostgres("postgres").WithDataVolume().AddDatabase("probedb").Resource;
        await fleet.StartAsync();
        await fleet.Notifications.WaitForResourceHealthyAsync("probedb", limit).WaitAsync(ServerLimit, limit);
        var connectionString = await database.GetConnectionStringAsync(limit);
        await ScalarAsync(connectionString!, "create table t as select '[1,2]'::vector v, similarity('a', 'a') s");

        UnixProcess.Signal(fleet.ProcessId("postgres"), UnixProcess.SigKill);
        await fleet.Notifications.WaitForResourceAsync("postgres", KnownResourceStates.Exited, limit);
        await fleet.HealthyAsync("postgres");

        Assert.Equal(connectionString, await database.GetConnectionStringAsync(limit));
        Assert.Equal(1L, await ScalarAsync(connectionString!, "select count(*) from t"));
    }

    private static async Task<object?> ScalarAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
#pragma warning disable CA2100 // Tests write their own SQL.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }
}
