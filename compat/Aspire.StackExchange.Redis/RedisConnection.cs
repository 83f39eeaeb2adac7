using StackExchange.Redis;

namespace Aspire.StackExchange.Redis;

/// <summary>One connection, made when somebody first asks and closed with the container.</summary>
internal sealed class RedisConnection(ConfigurationOptions options) : IDisposable
{
    private readonly Lazy<IConnectionMultiplexer> _multiplexer = new(() => ConnectionMultiplexer.Connect(options));

    public IConnectionMultiplexer Multiplexer => _multiplexer.Value;

    public void Dispose()
    {
        if (_multiplexer.IsValueCreated)
            _multiplexer.Value.Dispose();
    }
}
