using Microsoft.IdentityModel.Tokens;

namespace Microsoft.IdentityModel.Protocols;

/// <summary>A configuration that was given, not fetched.</summary>
public class StaticConfigurationManager<T>(T configuration) : BaseConfigurationManager, IConfigurationManager<T>
    where T : class
{
    public Task<T> GetConfigurationAsync(CancellationToken cancel) => Task.FromResult(configuration);

    public override Task<BaseConfiguration> GetBaseConfigurationAsync(CancellationToken cancel) =>
        configuration is BaseConfiguration known
            ? Task.FromResult(known)
            : throw new NotSupportedException($"{nameof(StaticConfigurationManager<>)} of {typeof(T).Name} has no base configuration.");

    public override void RequestRefresh()
    {
    }
}
