using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning;
using Fleet.Provisioning.Servers;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Runs PostgreSQL, RabbitMQ and Redis from wherever Fleet.Provisioning finds them. The installation is looked for once, by whichever
/// server starts first, because making one can take minutes.
/// </summary>
internal sealed class ServerLauncher(FleetPaths paths, PortAllocator ports, bool durable, IProgress<string> progress) : IInstanceLauncher
{
    private readonly Lock _gate = new();
    private readonly ServerCredentials _credentials = ServerCredentials.LoadOrCreate(paths.CredentialsFile);
    private Task<ServerInstallation>? _located;

    public async Task<LaunchPlan> PrepareAsync(ResourceInstance instance, CancellationToken cancellationToken)
    {
        var installation = await LocateAsync().WaitAsync(cancellationToken);
        var launch = Describe(installation, instance);
        await launch.PrepareAsync(cancellationToken);
        return new LaunchPlan
        {
            FileName = launch.FileName,
            Arguments = launch.Arguments,
            Environment = launch.Environment,
            InheritEnvironment = true,
            IsHealthyAsync = launch.IsReadyAsync,
            StopSignal = launch.StopSignal,
            StopTimeout = launch.StopTimeout,
        };
    }

    private ServerLaunch Describe(ServerInstallation installation, ResourceInstance instance)
    {
        var data = Path.Combine(paths.Data, instance.Resource.Name);
        var port = instance.Endpoints["tcp"].Port;
        switch (instance.Resource)
        {
            case PostgresServerResource postgres:
                var postgresLaunch = installation.PostgreSql(data, port, _credentials.PostgreSql, durable);
                postgres.Server.Set(PostgresDatabases.WithoutDatabase(postgresLaunch.ConnectionString));
                return postgresLaunch;
            case RabbitMQServerResource rabbit:
                var rabbitLaunch = installation.RabbitMq(data, port, _credentials.RabbitMq, ports);
                rabbit.Server.Set(rabbitLaunch.ConnectionString);
                return rabbitLaunch;
            case RedisResource redis:
                var redisLaunch = installation.Redis(data, port, _credentials.Redis, durable);
                redis.Server.Set(redisLaunch.ConnectionString);
                return redisLaunch;
            default:
                throw new DistributedApplicationException(
                    $"'{instance.Resource.Name}' ({instance.Resource.GetType().Name}) needs a container engine; only PostgreSQL, RabbitMQ and Redis run without one.");
        }
    }

    private Task<ServerInstallation> LocateAsync()
    {
        lock (_gate)
        {
            // A failed search is tried again with the next start.
            if (_located is null or { IsFaulted: true } or { IsCanceled: true })
                _located = ServerLocator.LocateAsync(progress, CancellationToken.None);
            return _located;
        }
    }
}
