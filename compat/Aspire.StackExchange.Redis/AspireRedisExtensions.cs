using Aspire.StackExchange.Redis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using StackExchange.Redis;

namespace Microsoft.Extensions.Hosting;

/// <summary>The registration calls of Aspire.StackExchange.Redis, over the client that this feed has.</summary>
public static class AspireRedisExtensions
{
    private const string SettingsSection = "Aspire:StackExchange:Redis";
    private const string HealthCheckName = "StackExchange.Redis";

    public static void AddRedisClient(this IHostApplicationBuilder builder, string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null, Action<ConfigurationOptions>? configureOptions = null) =>
        Register(builder, connectionName, null, configureSettings, configureOptions);

    public static void AddKeyedRedisClient(this IHostApplicationBuilder builder, string name,
        Action<StackExchangeRedisSettings>? configureSettings = null, Action<ConfigurationOptions>? configureOptions = null) =>
        Register(builder, name, name, configureSettings, configureOptions);

    public static AspireRedisClientBuilder AddRedisClientBuilder(this IHostApplicationBuilder builder, string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null, Action<ConfigurationOptions>? configureOptions = null) =>
        Register(builder, connectionName, null, configureSettings, configureOptions);

    public static AspireRedisClientBuilder AddKeyedRedisClientBuilder(this IHostApplicationBuilder builder, string name,
        Action<StackExchangeRedisSettings>? configureSettings = null, Action<ConfigurationOptions>? configureOptions = null) =>
        Register(builder, name, name, configureSettings, configureOptions);

    private static AspireRedisClientBuilder Register(IHostApplicationBuilder builder, string connectionName, string? serviceKey,
        Action<StackExchangeRedisSettings>? configureSettings, Action<ConfigurationOptions>? configureOptions)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);

        var settings = new StackExchangeRedisSettings();
        var section = builder.Configuration.GetSection(SettingsSection);
        section.Bind(settings);
        section.GetSection(connectionName).Bind(settings);
        if (builder.Configuration.GetConnectionString(connectionName) is { Length: > 0 } connectionString)
            settings.ConnectionString = connectionString;
        configureSettings?.Invoke(settings);

        // The options are read when the client is first resolved: tests and hosts may replace configuration until then.
        builder.Services.AddKeyedSingleton(connectionName, (provider, _) => new RedisConnection(ReadOptions(provider)));
        if (serviceKey is null)
            builder.Services.AddSingleton(provider => provider.GetRequiredKeyedService<RedisConnection>(connectionName).Multiplexer);
        else
        {
            builder.Services.AddKeyedSingleton(serviceKey,
                (provider, _) => provider.GetRequiredKeyedService<RedisConnection>(connectionName).Multiplexer);
        }

        if (!settings.DisableHealthChecks)
        {
            builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
                serviceKey is null ? HealthCheckName : $"{HealthCheckName}_{connectionName}",
                provider => new RedisHealthCheck(provider.GetRequiredKeyedService<RedisConnection>(connectionName)),
                failureStatus: null,
                tags: ["ready", "redis"],
                timeout: TimeSpan.FromSeconds(5)));
        }

        return new AspireRedisClientBuilder(builder, settings, serviceKey);

        ConfigurationOptions ReadOptions(IServiceProvider provider)
        {
            var text = provider.GetRequiredService<IConfiguration>().GetConnectionString(connectionName) ?? settings.ConnectionString;
            if (string.IsNullOrWhiteSpace(text))
            {
                throw new InvalidOperationException(
                    $"ConnectionStrings:{connectionName} is missing and {SettingsSection}:ConnectionString is not set either.");
            }

            var options = ConfigurationOptions.Parse(text);
            // A fleet starts in any order: a server that is not there yet is waited for, not fatal.
            options.AbortOnConnectFail = false;
            configureOptions?.Invoke(options);
            return options;
        }
    }
}
