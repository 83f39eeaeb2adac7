using System.ComponentModel.DataAnnotations;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Data;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>Settings of the event bus.</summary>
public sealed class MessagingOptions
{
    public const string SectionName = "Messaging";

    /// <summary>Put before every queue and exchange name so that test fleets can share a broker. Default: none.</summary>
    [RegularExpression("^[a-z0-9-]{0,40}$")]
    public string Prefix { get; set; } = "";

    /// <summary>Events one handler works on at a time. Default 16.</summary>
    [Range(1, 1000)]
    public int Concurrency { get; set; } = 16;
}

[OptionsValidator]
internal sealed partial class MessagingOptionsValidator : IValidateOptions<MessagingOptions>;

/// <summary>Collects a service's event handlers.</summary>
public sealed class MessagingBuilder
{
    internal List<Action<IServiceCollection>> Services { get; } = [];

    internal List<(Action<IBusRegistrationConfigurator> Register, Action<IRabbitMqBusFactoryConfigurator, IBusRegistrationContext, string> Configure)> Handlers { get; } = [];

    public MessagingBuilder AddHandler<TEvent, THandler>()
        where TEvent : IntegrationEvent
        where THandler : class, IEventHandler<TEvent>
    {
        Services.Add(services => services.AddScoped<THandler>());
        Handlers.Add((
            bus => bus.AddConsumer<EventConsumer<TEvent, THandler>>(),
            (rabbit, context, queuePrefix) => rabbit.ReceiveEndpoint(queuePrefix + KebabCaseEndpointNameFormatter.Instance.SanitizeName(typeof(THandler).Name), endpoint =>
            {
                endpoint.SetQuorumQueue();
                var options = context.GetRequiredService<IOptions<MessagingOptions>>().Value;
                endpoint.PrefetchCount = options.Concurrency * 2;
                endpoint.ConcurrentMessageLimit = options.Concurrency;
                // After these the message waits in the queue's _error queue for a person.
                endpoint.UseMessageRetry(retry => retry.Exponential(6, TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(20), TimeSpan.FromMilliseconds(500)));
                endpoint.ConfigureConsumer<EventConsumer<TEvent, THandler>>(context);
            })));
        return this;
    }
}

public static class MessagingExtensions
{
    /// <summary>
    /// Events over RabbitMQ: quorum queues, publisher confirms, retries, then an error queue. With <paramref name="transactional"/>
    /// (needs AddFleetDatabase) events go through the <see cref="Outbox"/> and handlers through the inbox; without it only
    /// <see cref="IEventPublisher"/> is there.
    /// </summary>
    /// <param name="service">Names the service's queues.</param>
    public static WebApplicationBuilder AddFleetMessaging(this WebApplicationBuilder builder, string service,
        Action<MessagingBuilder>? configure = null, bool transactional = true)
    {
        var messaging = new MessagingBuilder();
        configure?.Invoke(messaging);
        if (!transactional && messaging.Handlers.Count > 0)
            throw new InvalidOperationException("Handlers need the inbox, and the inbox needs a database.");

        var connectionString = builder.Configuration.GetConnectionString("rabbitmq")
            ?? throw new InvalidOperationException("ConnectionStrings:rabbitmq is not set; ./fleet up and the AppHost set it.");
        var services = builder.Services;
        services.AddOptions<MessagingOptions>().BindConfiguration(MessagingOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<MessagingOptions>, MessagingOptionsValidator>();
        foreach (var add in messaging.Services) add(services);

        services.AddMassTransit(bus =>
        {
            foreach (var (register, _) in messaging.Handlers) register(bus);
            bus.UsingRabbitMq((context, rabbit) =>
            {
                rabbit.Host(new Uri(connectionString));
                var prefix = context.GetRequiredService<IOptions<MessagingOptions>>().Value.Prefix;
                if (prefix.Length > 0) rabbit.MessageTopology.SetEntityNameFormatter(new PrefixEntityNameFormatter(rabbit.MessageTopology.EntityNameFormatter, prefix));
                foreach (var (_, handler) in messaging.Handlers) handler(rabbit, context, $"{prefix}{service}-");
            });
        });

        if (transactional)
        {
            services.AddSingleton(new MigrationSource(typeof(Outbox).Assembly));
            services.AddSingleton<Outbox>();
            services.AddHostedService<OutboxRelay>();
        }
        else
        {
            services.AddSingleton<IEventPublisher, DirectEventPublisher>();
        }

        return builder;
    }

    private sealed class DirectEventPublisher(IBus bus) : IEventPublisher
    {
        public Task PublishAsync(IntegrationEvent integrationEvent, CancellationToken cancellationToken) =>
            bus.Publish(integrationEvent, integrationEvent.GetType(), context => context.MessageId = integrationEvent.EventId, cancellationToken);
    }
}
