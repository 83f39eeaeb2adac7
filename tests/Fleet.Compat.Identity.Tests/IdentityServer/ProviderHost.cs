using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Duende.IdentityServer.Stores;
using Microsoft.IdentityModel.Tokens;
using Xunit;
using TokenValidationResult = Duende.IdentityServer.Validation.TokenValidationResult;

namespace Fleet.Compat.Identity.Tests.IdentityServer;

/// <summary>A provider configured the way the original's documentation does it, on a real loopback port.</summary>
internal sealed class ProviderHost : IAsyncDisposable
{
    public const string Secret = "a secret";

    private WebApplication _app = null!;

    public HttpClient Client { get; } = new();

    public FakeRefreshTokens RefreshTokens { get; } = new();

    public IServiceProvider Services => _app.Services;

    public static async Task<ProviderHost> StartAsync(Action<IdentityServerOptions>? configure = null, params Client[] clients)
    {
        var host = new ProviderHost();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.Services.AddAuthentication();
        builder.Services.AddIdentityServer(options =>
            {
                Subset(options);
                configure?.Invoke(options);
            })
            .AddInMemoryClients(clients.Length > 0 ? clients : [Machine(), App()])
            .AddInMemoryApiScopes([new ApiScope("api.read"), new ApiScope("api.write", ["role"])])
            .AddInMemoryApiResources([new ApiResource("api") { Scopes = ["api.read", "api.write"] }])
            .AddInMemoryIdentityResources([new IdentityResources.OpenId(), new IdentityResources.Profile()])
            .AddSigningCredential(new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "key-1" }, SecurityAlgorithms.EcdsaSha256)
            .AddProfileService<FakeProfile>();
        builder.Services.AddSingleton<IRefreshTokenService>(host.RefreshTokens);
        builder.Services.AddSingleton<IRefreshTokenStore>(host.RefreshTokens);
        host._app = builder.Build();
        host._app.UseIdentityServer();
        host._app.MapGet("/other", () => "the application's own");
        await host._app.StartAsync();
        host.Client.BaseAddress = new Uri(host._app.Urls.First());
        return host;
    }

    public static void Subset(IdentityServerOptions options)
    {
        options.KeyManagement.Enabled = false;
        options.Endpoints.EnableAuthorizeEndpoint = false;
        options.Endpoints.EnableEndSessionEndpoint = false;
        options.Endpoints.EnableCheckSessionEndpoint = false;
        options.Endpoints.EnableIntrospectionEndpoint = false;
        options.Endpoints.EnableDeviceAuthorizationEndpoint = false;
        options.Endpoints.EnableBackchannelAuthenticationEndpoint = false;
        options.Endpoints.EnablePushedAuthorizationEndpoint = false;
    }

    public static Client Machine() => new()
    {
        ClientId = "machine",
        ClientSecrets = [new Secret("an old secret".Sha256(), DateTime.UtcNow.AddDays(-1)), new Secret(Secret.Sha256())],
        AllowedGrantTypes = GrantTypes.ClientCredentials,
        AllowedScopes = ["api.read", "api.write"],
    };

    public static Client App() => new()
    {
        ClientId = "app",
        RequireClientSecret = false,
        AllowedGrantTypes = ["own_sign_in"],
        AllowedScopes = ["openid", "profile", "api.read", "api.write"],
        AllowOfflineAccess = true,
        UpdateAccessTokenClaimsOnRefresh = true,
        AccessTokenLifetime = 300,
    };

    public async Task<(int Status, JsonElement Body)> PostAsync(string path, string form)
    {
        using var content = new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded");
        using var response = await Client.PostAsync(path, content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }

    private sealed class FakeProfile : IProfileService
    {
        public Task GetProfileDataAsync(ProfileDataRequestContext context)
        {
            Claim[] all = [new("name", "Anna"), new("role", "reader"), new("role", "writer"), new("shoe_size", "38")];
            context.IssuedClaims.AddRange(all.Where(claim => context.RequestedClaimTypes.Contains(claim.Type)));
            return Task.CompletedTask;
        }

        public Task IsActiveAsync(IsActiveContext context)
        {
            context.IsActive = context.Subject.FindFirst("sub")?.Value != "gone";
            return Task.CompletedTask;
        }
    }

    /// <summary>Handles are the subject's name followed by a version.</summary>
    internal sealed class FakeRefreshTokens : IRefreshTokenService, IRefreshTokenStore
    {
        public List<string> Removed { get; } = [];

        public Task<TokenValidationResult> ValidateRefreshTokenAsync(string token, Client client) => Task.FromResult(
            token.EndsWith("-1", StringComparison.Ordinal)
                ? new TokenValidationResult { IsError = false, Client = client, RefreshToken = Describe(token) }
                : new TokenValidationResult { IsError = true, Error = "invalid_grant" });

        public Task<string> UpdateRefreshTokenAsync(RefreshTokenUpdateRequest request) =>
            Task.FromResult(request.Handle[..^1] + "2");

        public Task<RefreshToken?> GetRefreshTokenAsync(string refreshTokenHandle) =>
            Task.FromResult(refreshTokenHandle.EndsWith("-1", StringComparison.Ordinal) ? Describe(refreshTokenHandle) : null);

        public Task RemoveRefreshTokenAsync(string refreshTokenHandle)
        {
            Removed.Add(refreshTokenHandle);
            return Task.CompletedTask;
        }

        public Task<string> CreateRefreshTokenAsync(RefreshTokenCreationRequest request) => throw new NotSupportedException();

        public Task<string> StoreRefreshTokenAsync(RefreshToken refreshToken) => throw new NotSupportedException();

        public Task UpdateRefreshTokenAsync(string handle, RefreshToken refreshToken) => throw new NotSupportedException();

        public Task RemoveRefreshTokensAsync(string subjectId, string clientId) => throw new NotSupportedException();

        private static RefreshToken Describe(string handle) => new()
        {
            ClientId = "app",
            SessionId = "session-7",
            AuthorizedScopes = ["openid", "profile", "api.read"],
            Subject = new ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", handle.Split('-')[0])], "test")),
        };
    }
}
