namespace Microsoft.Extensions.DependencyInjection;

public interface IIdentityServerBuilder
{
    IServiceCollection Services { get; }
}

internal sealed class IdentityServerBuilder(IServiceCollection services) : IIdentityServerBuilder
{
    public IServiceCollection Services { get; } = services;
}
