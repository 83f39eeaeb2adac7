using System.Security.Cryptography;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Fleet.Testing;

/// <summary>
/// Stands in for auth towards one service: publishes discovery and keys on loopback, issues tokens, and answers the token endpoint
/// for service tokens. Validation in the service under test is the real one.
/// </summary>
public sealed class TestTokens : IAsyncDisposable
{
    public const string Issuer = "http://fleet.test";
    private readonly WebApplication _app;
    private readonly ECDsaSecurityKey _key;
    private readonly ECDsaSecurityKey _foreignKey;

    private TestTokens(WebApplication app, ECDsaSecurityKey key, ECDsaSecurityKey foreignKey)
    {
        _app = app;
        _key = key;
        _foreignKey = foreignKey;
    }

    /// <summary>What a service needs to trust these tokens.</summary>
    public IReadOnlyDictionary<string, string?> Configuration => new Dictionary<string, string?>
    {
        ["Auth:Issuer"] = Issuer,
        ["Auth:ClientId"] = "test",
        ["Auth:ClientSecret"] = "test-secret",
        ["services:auth:http:0"] = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First(),
    };

    public static async Task<TestTokens> StartAsync()
    {
        var key = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test-key" };
        var foreign = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test-key" };
        // Not the directory of the tests: the settings of the service under test lie there, ports included.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var tokens = new TestTokens(app, key, foreign);
        app.MapGet("/.well-known/openid-configuration", (HttpRequest request) => new
        {
            issuer = Issuer,
            jwks_uri = $"http://{request.Host}/.well-known/openid-configuration/jwks",
            token_endpoint = $"http://{request.Host}/connect/token",
        });
        app.MapGet("/.well-known/openid-configuration/jwks", () => new { keys = new[] { tokens.PublicKey() } });
        app.MapPost("/connect/token", () => new { access_token = tokens.IssueService("test"), token_type = "Bearer", expires_in = 900 });
        await app.StartAsync();
        return tokens;
    }

    public string Issue(Guid userId, params string[] roles) => Write(_key, userId, roles, DateTime.UtcNow.AddMinutes(15));

    /// <summary>Ran out an hour ago.</summary>
    public string Expired(Guid userId) => Write(_key, userId, [], DateTime.UtcNow.AddHours(-1));

    /// <summary>Well formed, right issuer and key id, but signed by somebody else's key.</summary>
    public string Foreign(Guid userId) => Write(_foreignKey, userId, [], DateTime.UtcNow.AddMinutes(15));

    public string WrongAudience(Guid userId) => Write(_key, userId, [], DateTime.UtcNow.AddMinutes(15), audience: "somebody-else");

    /// <summary>A service's own token (client credentials).</summary>
    public string IssueService(string clientId) => Write(_key, null, [], DateTime.UtcNow.AddMinutes(15), clientId: clientId);

    private static string Write(ECDsaSecurityKey key, Guid? userId, string[] roles, DateTime expires, string audience = FleetClaims.Audience, string? clientId = null)
    {
        var claims = new Dictionary<string, object> { ["jti"] = Guid.NewGuid().ToString(), [FleetClaims.Tenant] = "default" };
        if (userId is { } id)
        {
            claims[FleetClaims.Subject] = id.ToString();
            claims[FleetClaims.Name] = "user-" + id.ToString()[..8];
        }

        if (clientId is not null)
        {
            claims["client_id"] = clientId;
            claims[FleetClaims.Scope] = FleetClaims.InternalScope;
        }

        if (roles.Length > 0) claims[FleetClaims.Role] = roles;
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = audience,
            Expires = expires,
            NotBefore = expires.AddHours(-2),
            IssuedAt = expires.AddHours(-2),
            Claims = claims,
            TokenType = "at+jwt",
            SigningCredentials = new SigningCredentials(key, SecurityAlgorithms.EcdsaSha256),
        });
    }

    private object PublicKey()
    {
        var point = _key.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        return new
        {
            kty = "EC",
            crv = "P-256",
            use = "sig",
            alg = "ES256",
            kid = _key.KeyId,
            x = Base64UrlEncoder.Encode(point.X),
            y = Base64UrlEncoder.Encode(point.Y),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _key.ECDsa.Dispose();
        _foreignKey.ECDsa.Dispose();
    }
}
