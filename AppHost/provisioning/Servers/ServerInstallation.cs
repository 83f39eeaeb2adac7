namespace Fleet.Provisioning.Servers;

public enum ServerSource
{
    Container,
    Host,
    DebianRoot,
}

/// <summary>
/// One way to run PostgreSQL with pgvector, RabbitMQ and Redis or Valkey on this machine. Every server listens on loopback only and wants
/// its password.
/// </summary>
public abstract class ServerInstallation(ServerSource source, string why)
{
    /// <summary>The user (role) that owns everything in each server, unless a caller wants another.</summary>
    public const string UserName = "fleet";

    public ServerSource Source { get; } = source;

    /// <summary>One sentence for <c>./fleet doctor</c>: why this one and not another.</summary>
    public string Why { get; } = why;

    /// <param name="dataDirectory">Absolute; made when missing; belongs to this server alone.</param>
    /// <param name="port">A free loopback port.</param>
    /// <param name="password">The superuser's; takes effect when the data directory is made.</param>
    /// <param name="durable">False for tests: no fsync, a crash of the machine may lose the data.</param>
    /// <param name="user">The superuser's name; like the password, it takes effect when the data directory is made.</param>
    public abstract ServerLaunch PostgreSql(
        string dataDirectory, int port, string password, bool durable = true, string user = UserName);

    /// <param name="dataDirectory">As above.</param>
    /// <param name="port">As above.</param>
    /// <param name="password">As above.</param>
    /// <param name="ports">Erlang's distribution needs two more ports; they come from here.</param>
    /// <param name="user">As above.</param>
    public abstract ServerLaunch RabbitMq(
        string dataDirectory, int port, string password, PortAllocator ports, string user = UserName);

    /// <param name="dataDirectory">As above.</param>
    /// <param name="port">As above.</param>
    /// <param name="password">Wanted from every client; there are no users.</param>
    /// <param name="durable">As above.</param>
    public abstract ServerLaunch Redis(string dataDirectory, int port, string password, bool durable = true);

    protected static string PostgreSqlConnection(int port, string user, string password) =>
        $"Host=127.0.0.1;Port={port};Username={user};Password={password};Database=postgres";

    protected static string RabbitMqConnection(int port, string user, string password) => $"amqp://{user}:{password}@127.0.0.1:{port}";

    protected static string RedisConnection(int port, string password) => $"127.0.0.1:{port},password={password}";
}
