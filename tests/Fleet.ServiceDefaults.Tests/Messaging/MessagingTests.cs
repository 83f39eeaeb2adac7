using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Fleet.Testing;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Messaging;

public sealed class MessagingTests : IAsyncLifetime
{
    private readonly string _prefix = BackingServers.NewPrefix();
    private TestDatabase _database = null!;

    public async ValueTask InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task An_event_of_a_committed_transaction_reaches_its_handler()
    {
        await using var service = await StartAsync();
        var registered = NewEvent();

        await WriteAsync(service, registered, commit: true);

        await HandledAsync(registered, times: 1);
        await Eventually.TrueAsync(async () => await _database.ScalarAsync("SELECT count(*) FROM outbox_messages WHERE published_at IS NULL") is 0L);
    }

    [Fact]
    public async Task An_event_of_a_rolled_back_transaction_never_leaves()
    {
        await using var service = await StartAsync();
        var lost = NewEvent();
        var kept = NewEvent();

        await WriteAsync(service, lost, commit: false);
        await WriteAsync(service, kept, commit: true);

        await HandledAsync(kept, times: 1);
        Assert.Equal(0L, await EffectsAsync(lost));
    }

    [Fact]
    public async Task A_second_delivery_has_no_second_effect()
    {
        await using var service = await StartAsync();
        var registered = NewEvent();
        var bus = service.Services.GetRequiredService<IBus>();

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => bus.Publish(registered, TestContext.Current.CancellationToken)));
        var last = NewEvent();
        await bus.Publish(last, TestContext.Current.CancellationToken);
        await HandledAsync(last, times: 1);

        await HandledAsync(registered, times: 1);
        Assert.Equal(1L, await _database.ScalarAsync($"SELECT count(*) FROM inbox_messages WHERE event_id = '{registered.EventId}'"));
    }

    [Fact]
    public async Task A_handler_that_fails_is_tried_again_and_its_half_effect_undone()
    {
        await using var service = await StartAsync();
        var registered = NewEvent("fail-twice");

        await WriteAsync(service, registered, commit: true);

        await HandledAsync(registered, times: 1);
    }

    [Fact]
    public async Task Events_written_while_nobody_relayed_are_published_after_the_start()
    {
        await (await StartAsync()).DisposeAsync();
        var registered = NewEvent();
        await using (var source = NpgsqlDataSource.Create(_database.ConnectionString))
        await using (var connection = await source.OpenConnectionAsync(TestContext.Current.CancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var services = new ServiceCollection().AddMetrics().AddSingleton<Outbox>().BuildServiceProvider();
            await services.GetRequiredService<Outbox>().AddAsync(connection, transaction, registered, TestContext.Current.CancellationToken);
            await transaction.CommitAsync(TestContext.Current.CancellationToken);
        }

        await using var service = await StartAsync();

        await HandledAsync(registered, times: 1);
    }

    private static UserRegistered NewEvent(string name = "someone") => new() { UserId = Guid.CreateVersion7(), UserName = name };

    private Task<TestService> StartAsync() => TestService.StartWithMessagingAsync(_database, _prefix,
        messaging => messaging.AddHandler<UserRegistered, RecordEffect>(), services => services.AddSingleton<Failures>());

    private static async Task WriteAsync(TestService service, IntegrationEvent integrationEvent, bool commit)
    {
        await using var connection = await service.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await service.Services.GetRequiredService<Outbox>().AddAsync(connection, transaction, integrationEvent, CancellationToken.None);
        if (commit) await transaction.CommitAsync();
        else await transaction.RollbackAsync();
    }

    private async Task HandledAsync(IntegrationEvent integrationEvent, int times)
    {
        await Eventually.TrueAsync(async () => await EffectsAsync(integrationEvent) is long count && count >= times, "the event was not handled");
        Assert.Equal((long)times, await EffectsAsync(integrationEvent));
    }

    private Task<object?> EffectsAsync(IntegrationEvent integrationEvent) =>
        _database.ScalarAsync($"SELECT count(*) FROM effects WHERE event_id = '{integrationEvent.EventId}'");

    internal sealed class Failures
    {
        public int Count;
    }

    private sealed class RecordEffect(Failures failures) : IEventHandler<UserRegistered>
    {
        public async Task HandleAsync(UserRegistered integrationEvent, EventScope scope, CancellationToken cancellationToken)
        {
            await using var insert = new NpgsqlCommand("INSERT INTO effects (event_id, note) VALUES ($1, $2)", scope.Connection, scope.Transaction);
            insert.Parameters.Add(new() { Value = integrationEvent.EventId });
            insert.Parameters.Add(new() { Value = integrationEvent.UserName });
            await insert.ExecuteNonQueryAsync(cancellationToken);
            if (integrationEvent.UserName == "fail-twice" && Interlocked.Increment(ref failures.Count) <= 2)
                throw new InvalidOperationException("Asked to fail.");
        }
    }
}
