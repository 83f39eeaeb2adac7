using System.Reflection;
using Fleet.ServiceDefaults.Health;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Fleet.ServiceDefaults.Data;

public static class DatabaseExtensions
{
    /// <summary>
    /// The service's one PostgreSQL database: a shared <see cref="NpgsqlDataSource"/>, its readiness check, and the numbered SQL
    /// migrations embedded in <paramref name="migrations"/>, applied before anything else of the service starts.
    /// </summary>
    public static WebApplicationBuilder AddFleetDatabase(this WebApplicationBuilder builder, string name, Assembly migrations)
    {
        var connectionString = builder.Configuration.GetConnectionString(name)
            ?? throw new InvalidOperationException($"ConnectionStrings:{name} is not set; ./fleet up and the AppHost set it.");
        builder.Services.AddSingleton(services =>
        {
            var source = new NpgsqlDataSourceBuilder(connectionString) { Name = name };
            source.ConnectionStringBuilder.ApplicationName ??= builder.Environment.ApplicationName;
            source.UseLoggerFactory(services.GetRequiredService<ILoggerFactory>());
            return source.Build();
        });
        builder.Services.AddSingleton(new MigrationSource(migrations));
        builder.Services.AddHostedService<MigrationRunner>();
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealthCheck>(name, tags: [HealthEndpoints.ReadyTag], timeout: TimeSpan.FromSeconds(3));
        return builder;
    }

    /// <summary>An EF Core context over the service's database.</summary>
    public static WebApplicationBuilder AddFleetDbContext<TContext>(this WebApplicationBuilder builder) where TContext : DbContext
    {
        builder.Services.AddDbContext<TContext>((services, options) => options.UseNpgsql(services.GetRequiredService<NpgsqlDataSource>()));
        return builder;
    }

    private sealed class DatabaseHealthCheck(NpgsqlDataSource database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                await using var command = database.CreateCommand("SELECT 1");
                await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
                return HealthCheckResult.Healthy();
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
            {
                return HealthCheckResult.Unhealthy("PostgreSQL does not answer.", exception);
            }
        }
    }
}

/// <summary>An assembly whose embedded <c>*.Migrations.NNNN_name.sql</c> resources belong to the database.</summary>
public sealed record MigrationSource(Assembly Assembly);
