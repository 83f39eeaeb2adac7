using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace Fleet.Compat.Identity.Tests.JwtBearer;

/// <summary>A token issuer (discovery and keys) and a protected resource, each on a real loopback port.</summary>
internal sealed class IssuerHost : IAsyncDisposable
{
    public const string Issuer = "https://fleet.example";
    public const string Audience = "fleet";

    private readonly List<ECDsaSecurityKey> _keys = [];
    private WebApplication _issuer = null!;
    private WebApplication _resource = null!;

    public int KeyRequests { get; private set; }

    public bool IsDown { get; set; }

    public HttpClient Client { get; } = new();

    public static async Task<IssuerHost> StartAsync(Action<JwtBearerOptions>? configure = null)
    {
        var host = new IssuerHost();
        host.AddKey("first");
        host._issuer = host.BuildIssuer();
        await host._issuer.StartAsync();
        host._resource = host.BuildResource(options =>
        {
            options.MetadataAddress = host._issuer.Urls.First() + "/.well-known/openid-configuration";
            options.RequireHttpsMetadata = false;
            options.Audience = Audience;
            options.MapInboundClaims = false;
            options.TokenValidationParameters.ValidIssuer = Issuer;
            options.TokenValidationParameters.ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256];
            options.TokenValidationParameters.ValidTypes = ["at+jwt"];
            options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);
            configure?.Invoke(options);
        });
        await host._resource.StartAsync();
        host.Client.BaseAddress = new Uri(host._resource.Urls.First());
        return host;
    }

    public ECDsaSecurityKey AddKey(string keyId)
    {
        var key = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = keyId };
        _keys.Add(key);
        return key;
    }

    public string Issue(Action<SecurityTokenDescriptor>? change = null, SecurityKey? key = null)
    {
        var descriptor = new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = Audience,
            TokenType = "at+jwt",
            NotBefore = DateTime.UtcNow.AddMinutes(-1),
            IssuedAt = DateTime.UtcNow,
            Expires = DateTime.UtcNow.AddMinutes(5),
            Claims = new Dictionary<string, object> { ["sub"] = "7", ["role"] = new[] { "member", "administrator" } },
            SigningCredentials = new SigningCredentials(key ?? _keys[0], SecurityAlgorithms.EcdsaSha256),
        };
        change?.Invoke(descriptor);
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(descriptor);
    }

    public Task<HttpResponseMessage> GetAsync(string? token, string path = "/")
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);

        return Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _resource.DisposeAsync();
        await _issuer.DisposeAsync();
    }

    private WebApplication BuildIssuer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapGet("/.well-known/openid-configuration", (HttpRequest request) => IsDown
            ? Results.StatusCode(503)
            : Results.Json(new { issuer = Issuer, jwks_uri = $"http://{request.Host}/jwks" }));
        app.MapGet("/jwks", () =>
        {
            KeyRequests++;
            return IsDown ? Results.StatusCode(503) : Results.Json(new { keys = _keys.Select(Public) });
        });
        return app;
    }

    private WebApplication BuildResource(Action<JwtBearerOptions> configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.Services.AddAuthentication().AddJwtBearer(configure);
        builder.Services.AddAuthorization();
        var app = builder.Build();
        app.MapGet("/", (HttpContext context) => string.Join(
            ';', context.User.Claims.Where(claim => claim.Type is "sub" or "role").Select(claim => $"{claim.Type}={claim.Value}")))
            .RequireAuthorization();
        app.MapGet("/nobody", () => "never").RequireAuthorization(policy => policy.RequireClaim("role", "nobody"));
        return app;
    }

    private static object Public(ECDsaSecurityKey key)
    {
        var point = key.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        return new
        {
            kty = "EC",
            use = "sig",
            crv = "P-256",
            alg = "ES256",
            kid = key.KeyId,
            x = Base64UrlEncoder.Encode(point.X),
            y = Base64UrlEncoder.Encode(point.Y),
        };
    }
}
