namespace Aspire.Hosting.Testing;

/// <summary>An application host's builder, held at the point where the host has described its resources and not yet built them.</summary>
public interface IDistributedApplicationTestingBuilder : IDistributedApplicationBuilder, IAsyncDisposable, IDisposable
{
    Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);
}
