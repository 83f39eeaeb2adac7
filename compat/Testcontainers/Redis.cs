using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using Fleet.Provisioning.Servers;

namespace Testcontainers.Redis;

public sealed class RedisBuilder : LocalContainerBuilder<RedisBuilder, RedisContainer>
{
    public const ushort RedisPort = 6379;

    private protected override IReadOnlyList<string> ServerNames => ["redis", "valkey"];

    public override RedisContainer Build() => new(ContainerName);
}

public sealed class RedisContainer : LocalContainer
{
    // Others on this machine can reach the port, which they could not in a container's network.
    private readonly string _password = Guid.NewGuid().ToString("N");

    internal RedisContainer(string? name)
        : base(name)
    {
    }

    public string GetConnectionString() => Launch.ConnectionString;

    private protected override ServerLaunch Describe(ServerInstallation installation, string dataDirectory) =>
        installation.Redis(dataDirectory, LocalServers.Ports.Get(Id), _password, durable: false);
}
