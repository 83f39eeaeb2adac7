using Fleet.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Gateway.Tests;

/// <summary>The gateway's real program before one upstream per service, and tokens it trusts.</summary>
public sealed class GatewayFixture : IAsyncLifetime
{
    private static readonly string[] Services = ["chat", "inference", "knowledge", "analytics", "notification", "web"];
    private readonly Dictionary<string, Upstream> _upstreams = [];
    private ServiceFactory<GatewayOptions> _gateway = null!;

    public TestTokens Tokens { get; private set; } = null!;

    public Uri Address => _gateway.Address;

    internal Upstream this[string service] => _upstreams[service];

    public async ValueTask InitializeAsync()
    {
        Tokens = await TestTokens.StartAsync();
        foreach (var name in Services) _upstreams[name] = await Upstream.StartAsync(name);
        _gateway = await StartAsync();
    }

    /// <summary>Another gateway before the same upstreams, with other settings.</summary>
    public Task<ServiceFactory<GatewayOptions>> StartAsync(params (string Key, string? Value)[] settings) => StartAsync(settings, null);

    public Task<ServiceFactory<GatewayOptions>> StartAsync((string Key, string? Value)[] settings, Action<IServiceCollection>? configure)
    {
        var configuration = new Dictionary<string, string?>(Tokens.Configuration);
        foreach (var (name, upstream) in _upstreams) configuration[$"services:{name}:http:0"] = upstream.Address;
        foreach (var (key, value) in settings) configuration[key] = value;
        return ServiceFactory<GatewayOptions>.StartAsync(configuration, configureServices: configure);
    }

    public HttpClient CreateClient(string? token = null) => _gateway.CreateClient(token);

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        foreach (var upstream in _upstreams.Values) await upstream.DisposeAsync();
        await Tokens.DisposeAsync();
    }
}
