namespace DotNet.Testcontainers.Containers;

public enum TestcontainersStates
{
    Undefined,
    Created,
    Running,
    Exited,
}

/// <summary>The part of Testcontainers' container that Fleet's tests use; here a local process takes the container's place.</summary>
public interface IContainer : IAsyncDisposable
{
    string Id { get; }

    string Name { get; }

    string Hostname { get; }

    TestcontainersStates State { get; }

    /// <summary>The host's port for one of the container's; a server has exactly one.</summary>
    ushort GetMappedPublicPort(int containerPort);

    Task StartAsync(CancellationToken ct = default);

    Task StopAsync(CancellationToken ct = default);
}
