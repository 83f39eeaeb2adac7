using DotNet.Testcontainers.Containers;

namespace DotNet.Testcontainers.Builders;

/// <summary>
/// The builder methods that mean something for a local process. What only a container can do is refused by name, never ignored.
/// </summary>
public abstract class LocalContainerBuilder<TBuilder, TContainer>
    where TBuilder : LocalContainerBuilder<TBuilder, TContainer>
    where TContainer : IContainer
{
    private protected string? ContainerName { get; private set; }

    /// <summary>The image names what is wanted, not what runs: the server is whichever one Fleet.Provisioning finds.</summary>
    public TBuilder WithImage(string image) => Accept(
        ServerNames.Any(name => image.Contains(name, StringComparison.OrdinalIgnoreCase)), $"WithImage(\"{image}\")");

    public TBuilder WithName(string name)
    {
        ContainerName = name;
        return (TBuilder)this;
    }

    /// <summary>Everything is cleaned up when the test process ends; keeping it is not offered.</summary>
    public TBuilder WithCleanUp(bool cleanUp) => Accept(cleanUp, "WithCleanUp(false)");

    public TBuilder WithAutoRemove(bool autoRemove) => Accept(autoRemove, "WithAutoRemove(false)");

    /// <summary>The port is chosen anyway, as with a random host port.</summary>
    public TBuilder WithPortBinding(int port, bool assignRandomHostPort = false) => Accept(assignRandomHostPort, "WithPortBinding with a fixed host port");

    public TBuilder WithPortBinding(string hostPort, string containerPort) => Refuse("WithPortBinding with a fixed host port");

    public TBuilder WithCommand(params string[] command) => Refuse("WithCommand");

    public TBuilder WithEnvironment(string name, string value) => Refuse("WithEnvironment");

    public TBuilder WithBindMount(string source, string destination) => Refuse("WithBindMount");

    public TBuilder WithVolumeMount(string source, string destination) => Refuse("WithVolumeMount");

    public abstract TContainer Build();

    /// <summary>Part of the names of the images that this server can stand in for.</summary>
    private protected abstract IReadOnlyList<string> ServerNames { get; }

    private protected static NotSupportedException NotSupported(string member) => new(
        $"{member} needs a container engine; compat/Testcontainers runs local processes (compat/README.md).");

    private TBuilder Accept(bool accepted, string member) => accepted ? (TBuilder)this : throw NotSupported(member);

    private static TBuilder Refuse(string member) => throw NotSupported(member);
}
