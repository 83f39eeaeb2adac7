using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Auth.Users;
using Fleet.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Xunit;

[assembly: AssemblyFixture(typeof(Fleet.Auth.Tests.SharedAuthServer))]

namespace Fleet.Auth.Tests;

/// <summary>The real service over a database of its own.</summary>
public sealed class AuthServer : IAsyncDisposable
{
    public const string ClientSecret = "a secret of the test fleet";
    public const string Issuer = "http://fleet.test";
    public const string GoodPassword = "correct horse battery";

    private readonly TestDatabase? _owned;
    private readonly ServiceFactory<FleetUser> _service;

    private AuthServer(ServiceFactory<FleetUser> service, TestDatabase database, TestDatabase? owned) =>
        (_service, Database, _owned) = (service, database, owned);

    public TestDatabase Database { get; }

    public IServiceProvider Services => _service.Services;

    public Uri GrpcAddress => _service.GrpcAddress;

    public static async Task<AuthServer> StartAsync(
        TestDatabase? database = null, TimeProvider? time = null, IEnumerable<KeyValuePair<string, string?>>? settings = null)
    {
        var owned = database is null ? await TestDatabase.CreateAsync() : null;
        database ??= owned!;
        var configuration = new Dictionary<string, string?>
        {
            ["ConnectionStrings:authdb"] = database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
            ["Auth:Issuer"] = Issuer,
            ["Auth:ClientSecret"] = ClientSecret,
            ["Logging:LogLevel:Default"] = "Warning",
            // The least that is allowed: the tests sign in hundreds of times.
            ["Auth:PasswordIterations"] = "100000",
        };
        foreach (var (key, value) in settings ?? [])
            configuration[key] = value;

        try
        {
            var service = await ServiceFactory<FleetUser>.StartAsync(
                configuration, grpc: true, services =>
                {
                    if (time is not null)
                        services.Replace(ServiceDescriptor.Singleton(time));
                });
            return new AuthServer(service, database, owned);
        }
        catch
        {
            if (owned is not null)
                await owned.DisposeAsync();
            throw;
        }
    }

    public HttpClient Client(string? token = null) => _service.CreateClient(token);

    public static string NewName() => "u" + Guid.NewGuid().ToString("N")[..12];

    /// <summary>A fresh account.</summary>
    public async Task<string> RegisterAsync(string? name = null)
    {
        name ??= NewName();
        using var client = Client();
        using var response = await client.PostAsJsonAsync(
            "/api/auth/register", new { username = name, email = name + "@example.com", password = GoodPassword });
        Assert.Equal(System.Net.HttpStatusCode.Created, response.StatusCode);
        return name;
    }

    public async Task<HttpResponseMessage> LoginAsync(string name, string password = GoodPassword)
    {
        using var client = Client();
        return await client.PostAsJsonAsync("/api/auth/login", new { username = name, password });
    }

    /// <summary>A fresh account, signed in.</summary>
    public async Task<TokenSet> SignInAsync(string? name = null, string password = GoodPassword)
    {
        using var response = await LoginAsync(name ?? await RegisterAsync(), password);
        return await TokensOfAsync(response);
    }

    public async Task<HttpResponseMessage> RefreshAsync(string refreshToken)
    {
        using var client = Client();
        return await client.PostAsJsonAsync("/api/auth/refresh", new { refreshToken });
    }

    public static async Task<TokenSet> TokensOfAsync(HttpResponseMessage response)
    {
        Assert.Equal(System.Net.HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<TokenSet>())!;
    }

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        if (_owned is not null)
            await _owned.DisposeAsync();
    }
}

public sealed record TokenSet(string AccessToken, string RefreshToken, string TokenType, int ExpiresIn);

/// <summary>One server for all tests that need nothing special.</summary>
public sealed class SharedAuthServer : IAsyncLifetime
{
    public AuthServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await AuthServer.StartAsync();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
