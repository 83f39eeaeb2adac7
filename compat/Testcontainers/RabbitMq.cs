using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using Fleet.Provisioning;
using Fleet.Provisioning.Servers;

namespace Testcontainers.RabbitMq;

public sealed class RabbitMqBuilder : LocalContainerBuilder<RabbitMqBuilder, RabbitMqContainer>
{
    public const string DefaultUsername = "rabbitmq";
    public const string DefaultPassword = "rabbitmq";
    public const ushort RabbitMqPort = 5672;

    private string _username = DefaultUsername;
    private string _password = DefaultPassword;

    private protected override IReadOnlyList<string> ServerNames => ["rabbitmq"];

    public RabbitMqBuilder WithUsername(string username)
    {
        _username = username;
        return this;
    }

    public RabbitMqBuilder WithPassword(string password)
    {
        _password = password;
        return this;
    }

    public override RabbitMqContainer Build() => new(ContainerName, _username, _password);
}

public sealed class RabbitMqContainer : LocalContainer
{
    private readonly string _username;
    private readonly string _password;

    internal RabbitMqContainer(string? name, string username, string password)
        : base(name)
    {
        _username = username;
        _password = password;
    }

    public string GetConnectionString() => Launch.ConnectionString;

    private protected override ServerLaunch Describe(ServerInstallation installation, string dataDirectory) => installation.RabbitMq(
        // Its two further ports are named alike for every broker, so each gets an allocator of its own.
        dataDirectory, LocalServers.Ports.Get(Id), _password, new PortAllocator(dataDirectory + ".ports.json"), _username);
}
