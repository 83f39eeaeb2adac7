using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Contracts.Auth.V1;
using Fleet.Testing;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fleet.Gateway.Tests;

public sealed class ApiKeyTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    private const string Key = "fk_0123456789abcdef0123456789abcdef";

    [Fact]
    public async Task A_key_becomes_its_owners_token_and_never_leaves_the_gateway()
    {
        await using var auth = await KeyAuth.StartAsync(_ => fleet.Tokens.Issue(Guid.NewGuid()));
        await using var gateway = await fleet.StartAsync(("services:auth:grpc:0", auth.Address));
        using var client = gateway.CreateClient(Key);

        using var answer = await client.GetAsync("/api/sessions");
        var seen = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("headers").GetProperty("authorization").GetString()!;

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.StartsWith("Bearer eyJ", seen, StringComparison.Ordinal);
        Assert.Equal(Key, Assert.Single(auth.Asked));
    }

    [Fact]
    public async Task Many_requests_within_a_second_cost_one_exchange_and_a_revoked_key_is_dead_after_it()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var revoked = false;
        await using var auth = await KeyAuth.StartAsync(_ => revoked ? null : fleet.Tokens.Issue(Guid.NewGuid()));
        await using var gateway = await fleet.StartAsync([("services:auth:grpc:0", auth.Address)], services => services.AddSingleton<TimeProvider>(time));
        using var client = gateway.CreateClient(Key);

        for (var i = 0; i < 5; i++) Assert.Equal(HttpStatusCode.OK, await StatusAsync(client));
        Assert.Single(auth.Asked);

        revoked = true;
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(client));
    }

    [Fact]
    public async Task An_unknown_key_is_401_and_auth_away_is_503()
    {
        string address;
        await using (var auth = await KeyAuth.StartAsync(_ => null))
        {
            address = auth.Address;
            await using var gateway = await fleet.StartAsync(("services:auth:grpc:0", address));
            using var client = gateway.CreateClient(Key);
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(client));
        }

        await using var alone = await fleet.StartAsync(("services:auth:grpc:0", address));
        using var caller = alone.CreateClient(Key);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(caller));
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client)
    {
        using var answer = await client.GetAsync("/api/sessions");
        return answer.StatusCode;
    }

    /// <summary>The part of auth that knows keys, on real gRPC.</summary>
    private sealed class KeyAuth(WebApplication app, Func<string, string?> issue) : IAsyncDisposable
    {
        public string Address => app.Urls.First();

        public System.Collections.Concurrent.ConcurrentQueue<string> Asked { get; } = [];

        public static async Task<KeyAuth> StartAsync(Func<string, string?> issue)
        {
            var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Protocols = HttpProtocols.Http2));
            builder.Services.AddGrpc();
            KeyAuth? auth = null;
            builder.Services.AddSingleton(_ => new Service(auth!));
            var app = builder.Build();
            auth = new KeyAuth(app, issue);
            app.MapGrpcService<Service>();
            await app.StartAsync();
            return auth;
        }

        public async ValueTask DisposeAsync() => await app.DisposeAsync();

        private sealed class Service(KeyAuth owner) : Auth.AuthBase
        {
            public override Task<ExchangeApiKeyResponse> ExchangeApiKey(ExchangeApiKeyRequest request, ServerCallContext context)
            {
                owner.Asked.Enqueue(request.ApiKey);
                return owner.Issue(request.ApiKey) is { } token
                    ? Task.FromResult(new ExchangeApiKeyResponse { AccessToken = token, ExpiresIn = 900 })
                    : throw new RpcException(new Status(StatusCode.Unauthenticated, "unknown"));
            }
        }

        private string? Issue(string key) => issue(key);
    }
}
