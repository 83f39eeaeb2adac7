using Fleet.Contracts.Events;
using Fleet.Testing;
using MassTransit;
using Xunit;

namespace Fleet.IntegrationTests;

public sealed class EventTests(FleetFixture fleet)
{
    [Fact]
    public async Task An_event_delivered_many_times_counts_once()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var id = Guid.Parse((await user.GetAsync("/api/auth/me")).GetProperty("id").GetString()!);
        var broker = await fleet.ConnectionStringAsync("rabbitmq");
        var bus = Bus.Factory.CreateUsingRabbitMq(rabbit => rabbit.Host(new Uri(broker)));
        await bus.StartAsync(TestContext.Current.CancellationToken);
        try
        {
            var completed = new ReplyCompleted
            {
                UserId = id,
                RunId = Guid.CreateVersion7(),
                Model = "test",
                PromptTokens = 7,
                CompletionTokens = 5,
                FinishReason = "stop",
                Duration = TimeSpan.FromSeconds(1),
            };
            for (var i = 0; i < 10; i++) await bus.Publish(completed, TestContext.Current.CancellationToken);
            var last = completed with { EventId = Guid.CreateVersion7(), RunId = Guid.CreateVersion7() };
            await bus.Publish(last, TestContext.Current.CancellationToken);
        }
        finally
        {
            await bus.StopAsync(TestContext.Current.CancellationToken);
        }

        await Eventually.TrueAsync(async () => (await user.UsageAsync()).GetProperty("requests").GetInt64() >= 2, "the events were not counted");

        var usage = await user.UsageAsync();
        Assert.Equal(2, usage.GetProperty("requests").GetInt64());
        Assert.Equal(10, usage.GetProperty("completionTokens").GetInt64());
    }
}
