using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// Servers as containers of the engine that answers to <c>docker</c>, each in the foreground of its client process, which passes signals
/// on. Passwords travel by environment, never on a command line.
/// </summary>
public sealed class ContainerInstallation(string why) : ServerInstallation(ServerSource.Container, why)
{
    public const string PostgreSqlImage = "pgvector/pgvector:pg17";
    public const string RabbitMqImage = "rabbitmq:4-management";
    public const string RedisImage = "valkey/valkey:8";

    public override ServerLaunch PostgreSql(
        string dataDirectory, int port, string password, bool durable = true, string user = UserName) => Launch(
        "postgres",
        dataDirectory,
        port,
        PostgreSqlConnection(port, user, password),
        [
            "-p", $"127.0.0.1:{port}:5432", "-v", $"{dataDirectory}:/var/lib/postgresql/data", "-e", "POSTGRES_USER", "-e", "POSTGRES_PASSWORD",
            // A second folder level: the image will not initialise a folder that holds anything else, such as lost+found.
            "-e", "PGDATA=/var/lib/postgresql/data/pg17", PostgreSqlImage,
            "-c", "max_connections=400", .. durable ? Array.Empty<string>() : ["-c", "fsync=off"],
        ],
        new() { ["POSTGRES_USER"] = user, ["POSTGRES_PASSWORD"] = password },
        token => ServerProbes.PostgreSqlAsync(port, user, token),
        UnixProcess.SigInt);

    public override ServerLaunch RabbitMq(
        string dataDirectory, int port, string password, PortAllocator ports, string user = UserName) => Launch(
        "rabbitmq",
        dataDirectory,
        port,
        RabbitMqConnection(port, user, password),
        [
            // The broker's data is named after its host: a fixed one, or every restart would begin empty.
            "--hostname", "fleet", "-p", $"127.0.0.1:{port}:5672", "-v", $"{dataDirectory}:/var/lib/rabbitmq",
            "-e", "RABBITMQ_DEFAULT_USER", "-e", "RABBITMQ_DEFAULT_PASS", RabbitMqImage,
        ],
        new() { ["RABBITMQ_DEFAULT_USER"] = user, ["RABBITMQ_DEFAULT_PASS"] = password },
        token => ServerProbes.RabbitMqAsync(port, token));

    public override ServerLaunch Redis(string dataDirectory, int port, string password, bool durable = true) => Launch(
        "redis",
        dataDirectory,
        port,
        RedisConnection(port, password),
        [
            "-p", $"127.0.0.1:{port}:6379", "-v", $"{dataDirectory}:/data", "-e", "FLEET_REDIS_PASSWORD", RedisImage,
            "sh", "-c", $"exec valkey-server --requirepass \"$FLEET_REDIS_PASSWORD\" --appendonly {(durable ? "yes" : "no")}",
        ],
        new() { ["FLEET_REDIS_PASSWORD"] = password },
        token => ServerProbes.RedisAsync(port, password, token));

    private static ServerLaunch Launch(
        string name,
        string dataDirectory,
        int port,
        string connectionString,
        string[] arguments,
        Dictionary<string, string> environment,
        Func<CancellationToken, Task<bool>> isReady,
        int stopSignal = UnixProcess.SigTerm)
    {
        // The port is this clone's own, so the name is unique on the machine while it runs.
        var container = $"fleet-{name}-{port}";
        return new ServerLaunch
        {
            Name = name,
            FileName = "setsid",
            Arguments = ["docker", "run", "--rm", "--name", container, .. arguments],
            Environment = environment,
            Port = port,
            ConnectionString = connectionString,
            StopSignal = stopSignal,
            StopTimeout = TimeSpan.FromSeconds(30),
            PrepareAsync = async token =>
            {
                Directory.CreateDirectory(dataDirectory);
                // A killed client leaves its container running under this name. That there is none is the usual answer.
                await Tool.RunAsync("docker", ["rm", "--force", container], token);
            },
            IsReadyAsync = isReady,
        };
    }
}
