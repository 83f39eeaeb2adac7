using System.Net.Http.Headers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Testing;

/// <summary>Runs one service's real Program on real Kestrel, on free loopback ports, with the given configuration.</summary>
/// <typeparam name="TEntry">Any type of the service's assembly.</typeparam>
public sealed class ServiceFactory<TEntry> : IAsyncDisposable where TEntry : class
{
    private readonly Factory _factory;

    private ServiceFactory(Factory factory, Uri address, Uri grpcAddress)
    {
        _factory = factory;
        Address = address;
        GrpcAddress = grpcAddress;
    }

    /// <summary>The <c>http</c> endpoint.</summary>
    public Uri Address { get; }

    /// <summary>The <c>grpc</c> endpoint (h2c); nobody listens there when the service has none.</summary>
    public Uri GrpcAddress { get; }

    public IServiceProvider Services => _factory.Services;

    /// <param name="configuration">Keys with colons; wins over the service's appsettings.</param>
    /// <param name="grpc">Whether the service has a <c>grpc</c> endpoint.</param>
    /// <param name="configureServices">Last word on the container, e.g. to put a clock in.</param>
    /// <param name="untilReady">Whether to wait for /health/ready: queues are bound and dependencies answer then.</param>
    public static async Task<ServiceFactory<TEntry>> StartAsync(IEnumerable<KeyValuePair<string, string?>> configuration, bool grpc = false,
        Action<IServiceCollection>? configureServices = null, bool untilReady = true)
    {
        var address = FreeAddress();
        var grpcAddress = FreeAddress();
        var settings = new Dictionary<string, string?>(configuration) { ["Kestrel:Endpoints:http:Url"] = address.ToString() };
        if (grpc)
        {
            settings["Kestrel:Endpoints:grpc:Url"] = grpcAddress.ToString();
            settings["Kestrel:Endpoints:grpc:Protocols"] = "Http2";
        }

        var factory = new Factory(settings, configureServices);
        factory.UseKestrel();
        // Starting is synchronous in this API; a worker thread keeps the test's own thread free.
        await Task.Run(factory.StartServer);
        var service = new ServiceFactory<TEntry>(factory, address, grpcAddress);
        if (untilReady) await service.ReadyAsync();
        return service;
    }

    private async Task ReadyAsync()
    {
        using var client = CreateClient();
        var report = "";
        try
        {
            await Eventually.TrueAsync(async () =>
            {
                using var response = await client.GetAsync("/health/ready");
                report = await response.Content.ReadAsStringAsync();
                return response.IsSuccessStatusCode;
            });
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException("The service did not become ready: " + report, exception);
        }
    }

    /// <summary>A client without redirects or cookies, with <paramref name="token"/> as bearer when given.</summary>
    public HttpClient CreateClient(string? token = null)
    {
        var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = Address };
        if (token is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    public async ValueTask DisposeAsync() => await _factory.DisposeAsync();

    private static Uri FreeAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        return new Uri($"http://127.0.0.1:{((System.Net.IPEndPoint)socket.LocalEndPoint!).Port}");
    }

    private sealed class Factory(Dictionary<string, string?> settings, Action<IServiceCollection>? configureServices) : WebApplicationFactory<TEntry>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseContentRoot(AppContext.BaseDirectory);
            builder.UseEnvironment("Testing");
            foreach (var (key, value) in settings) builder.UseSetting(key, value);
            if (configureServices is not null) builder.ConfigureServices(configureServices);
        }
    }
}
