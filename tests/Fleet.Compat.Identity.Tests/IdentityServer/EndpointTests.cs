using System.Net;
using System.Net.Http.Headers;
using System.Security.Claims;
using System.Text.Json;
using Duende.IdentityServer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace Fleet.Compat.Identity.Tests.IdentityServer;

public sealed class EndpointTests
{
    private const string Machine = "client_id=machine&client_secret=a+secret&grant_type=client_credentials";

    [Fact]
    public async Task Issued_token_passes_a_validator_that_knows_only_the_discovery_document()
    {
        await using var host = await ProviderHost.StartAsync();
        var (_, body) = await host.PostAsync("/connect/token", Machine);
        var configuration = await new ConfigurationManager<OpenIdConnectConfiguration>(
            new Uri(host.Client.BaseAddress!, "/.well-known/openid-configuration").ToString(),
            new OpenIdConnectConfigurationRetriever(),
            new HttpDocumentRetriever { RequireHttps = false }).GetConfigurationAsync(TestContext.Current.CancellationToken);

        var result = await new JsonWebTokenHandler().ValidateTokenAsync(body.GetProperty("access_token").GetString(), new TokenValidationParameters
        {
            ValidIssuer = configuration.Issuer,
            IssuerSigningKeys = configuration.SigningKeys,
            ValidAudience = "api",
            ValidTypes = ["at+jwt"],
            ValidAlgorithms = ["ES256"],
        });

        Assert.True(result.IsValid, result.Exception?.ToString());
        Assert.Equal(host.Client.BaseAddress!.ToString().TrimEnd('/'), configuration.Issuer);
        Assert.Equal(new Uri(host.Client.BaseAddress, "/connect/token"), new Uri(configuration.TokenEndpoint));
    }

    [Theory]
    [InlineData(false, "[\"api.read\",\"api.write\"]")]
    [InlineData(true, "\"api.read api.write\"")]
    public async Task Scopes_are_an_array_or_one_string(bool oneString, string expected)
    {
        await using var host = await ProviderHost.StartAsync(options => options.EmitScopesAsSpaceDelimitedStringInJwt = oneString);

        var (_, body) = await host.PostAsync("/connect/token", Machine);

        var payload = JsonDocument.Parse(Base64UrlEncoder.Decode(new JsonWebToken(body.GetProperty("access_token").GetString()).EncodedPayload)).RootElement;
        Assert.Equal(expected, payload.GetProperty("scope").GetRawText());
        Assert.Equal("\"api\"", payload.GetProperty("aud").GetRawText());
        Assert.Equal(32, payload.GetProperty("jti").GetString()!.Length);
        Assert.Equal("api.read api.write", body.GetProperty("scope").GetString());
        Assert.Equal(3600, body.GetProperty("expires_in").GetInt32());
    }

    [Fact]
    public async Task Expired_secret_is_no_secret()
    {
        await using var host = await ProviderHost.StartAsync();

        var (status, body) = await host.PostAsync("/connect/token", "client_id=machine&client_secret=an+old+secret&grant_type=client_credentials");

        Assert.Equal(400, status);
        Assert.Equal("invalid_client", body.GetProperty("error").GetString());
    }

    [Fact]
    public async Task Refresh_gives_fresh_claims_and_the_services_handle()
    {
        await using var host = await ProviderHost.StartAsync();

        var (status, body) = await host.PostAsync("/connect/token", "client_id=app&grant_type=refresh_token&refresh_token=anna-1");

        var token = new JsonWebToken(body.GetProperty("access_token").GetString());
        Assert.Equal(200, status);
        Assert.Equal("anna-2", body.GetProperty("refresh_token").GetString());
        Assert.Equal(300, body.GetProperty("expires_in").GetInt32());
        Assert.Equal("anna", token.Subject);
        Assert.Equal("session-7", token.GetClaim("sid").Value);
        Assert.False(token.TryGetClaim("role", out _));
    }

    [Theory]
    [InlineData("gone-1", "", "invalid_grant")]
    [InlineData("anna-9", "", "invalid_grant")]
    [InlineData("anna-1", "&scope=api.write", "invalid_scope")]
    public async Task Refresh_is_refused(string handle, string scope, string error)
    {
        await using var host = await ProviderHost.StartAsync();

        var (status, body) = await host.PostAsync("/connect/token", $"client_id=app&grant_type=refresh_token&refresh_token={handle}{scope}");

        Assert.Equal(400, status);
        Assert.Equal(error, body.GetProperty("error").GetString());
    }

    [Fact]
    public async Task Refresh_may_narrow_the_scopes()
    {
        await using var host = await ProviderHost.StartAsync();

        var (_, body) = await host.PostAsync("/connect/token", "client_id=app&grant_type=refresh_token&refresh_token=anna-1&scope=api.read");

        Assert.Equal("api.read", body.GetProperty("scope").GetString());
    }

    [Fact]
    public async Task Revocation_removes_own_tokens_only()
    {
        await using var host = await ProviderHost.StartAsync();

        var (foreign, _) = await host.PostAsync("/connect/revocation", "client_id=machine&client_secret=a+secret&token=anna-1");
        var (unknown, _) = await host.PostAsync("/connect/revocation", "client_id=app&token=nothing");
        var (own, _) = await host.PostAsync("/connect/revocation", "client_id=app&token=anna-1&token_type_hint=refresh_token");

        Assert.Equal([200, 200, 200], [foreign, unknown, own]);
        Assert.Equal(["anna-1"], host.RefreshTokens.Removed);
    }

    [Theory]
    [InlineData("openid profile", HttpStatusCode.OK, "")]
    [InlineData("api.read", HttpStatusCode.Forbidden, "Bearer error=\"insufficient_scope\"")]
    public async Task User_info_needs_the_scope_openid(string scopes, HttpStatusCode status, string challenge)
    {
        await using var host = await ProviderHost.StartAsync();
        var tools = host.Services.GetRequiredService<IIdentityServerTools>();
        var token = await tools.IssueJwtAsync(
            60, host.Client.BaseAddress!.ToString().TrimEnd('/'),
            [new Claim("sub", "anna"), new Claim("client_id", "app"), .. scopes.Split(' ').Select(scope => new Claim("scope", scope))]);
        host.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);

        using var response = await host.Client.GetAsync("/connect/userinfo", TestContext.Current.CancellationToken);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(challenge, response.Headers.WwwAuthenticate.ToString());
        if (status == HttpStatusCode.OK)
        {
            var info = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
            Assert.Equal("Anna", info.GetProperty("name").GetString());
            Assert.Equal("anna", info.GetProperty("sub").GetString());
            Assert.Equal(2, info.EnumerateObject().Count());
        }
    }

    [Fact]
    public async Task Tools_keep_the_claims_types()
    {
        await using var host = await ProviderHost.StartAsync();
        var tools = host.Services.GetRequiredService<IIdentityServerTools>();

        var token = await tools.IssueJwtAsync(
            60, "http://issuer", "other_type", [new("n", "5", ClaimValueTypes.Integer64), new("b", "true", ClaimValueTypes.Boolean), new("a", "1"), new("a", "2")]);

        var payload = JsonDocument.Parse(Base64UrlEncoder.Decode(new JsonWebToken(token).EncodedPayload)).RootElement;
        Assert.Equal("JWT", new JsonWebToken(token).Typ);
        Assert.Equal(5, payload.GetProperty("n").GetInt64());
        Assert.True(payload.GetProperty("b").GetBoolean());
        Assert.Equal("[\"1\",\"2\"]", payload.GetProperty("a").GetRawText());
        Assert.Equal(60, payload.GetProperty("exp").GetInt64() - payload.GetProperty("iat").GetInt64());
    }

    [Fact]
    public async Task Other_paths_are_the_applications()
    {
        await using var host = await ProviderHost.StartAsync();

        Assert.Equal("the application's own", await host.Client.GetStringAsync("/other", TestContext.Current.CancellationToken));
    }
}
