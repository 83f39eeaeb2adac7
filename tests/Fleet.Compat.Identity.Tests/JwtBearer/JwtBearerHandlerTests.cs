using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace Fleet.Compat.Identity.Tests.JwtBearer;

public sealed class JwtBearerHandlerTests
{
    [Fact]
    public async Task Valid_token_gives_the_claims_under_their_own_names()
    {
        await using var host = await IssuerHost.StartAsync();

        using var response = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("sub=7;role=member;role=administrator", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Mapped_claims_have_the_long_names()
    {
        await using var host = await IssuerHost.StartAsync(options => options.MapInboundClaims = true);

        using var response = await host.GetAsync(host.Issue());

        Assert.Equal(string.Empty, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task No_token_is_challenged_without_an_error_code()
    {
        await using var host = await IssuerHost.StartAsync();

        using var response = await host.GetAsync(token: null);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Expired_token_is_refused_and_the_challenge_says_so()
    {
        await using var host = await IssuerHost.StartAsync();

        var token = host.Issue(descriptor =>
        {
            descriptor.NotBefore = DateTime.UtcNow.AddMinutes(-10);
            descriptor.Expires = DateTime.UtcNow.AddMinutes(-1);
        });
        using var response = await host.GetAsync(token);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.StartsWith(
            "Bearer error=\"invalid_token\", error_description=\"The token expired at ", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Token_expired_within_the_clock_skew_is_accepted()
    {
        await using var host = await IssuerHost.StartAsync();

        using var response = await host.GetAsync(host.Issue(descriptor => descriptor.Expires = DateTime.UtcNow.AddSeconds(-5)));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    public static TheoryData<string> Forgeries =>
        ["audience", "issuer", "type", "no type", "no expiry", "not yet", "tampered", "none", "hmac", "foreign", "foreign same kid", "garbage", "quotes"];

    [Theory]
    [MemberData(nameof(Forgeries))]
    public async Task Forged_token_is_refused(string forgery)
    {
        await using var host = await IssuerHost.StartAsync();
        using var warm = await host.GetAsync(host.Issue());

        using var response = await host.GetAsync(Forge(host, forgery));

        Assert.Equal(HttpStatusCode.OK, warm.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.StartsWith("Bearer error=\"invalid_token\"", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Missing_role_is_forbidden()
    {
        await using var host = await IssuerHost.StartAsync();

        using var response = await host.GetAsync(host.Issue(), "/nobody");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task Error_details_can_be_left_out()
    {
        await using var host = await IssuerHost.StartAsync(options => options.IncludeErrorDetails = false);

        using var response = await host.GetAsync(Forge(host, "audience"));

        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Message_received_may_bring_the_token_from_elsewhere()
    {
        await using var host = await IssuerHost.StartAsync(options => options.Events = new JwtBearerEvents
        {
            OnMessageReceived = context =>
            {
                context.Token = context.Request.Query["access_token"];
                return Task.CompletedTask;
            },
        });

        using var response = await host.GetAsync(token: null, "/?access_token=" + host.Issue());

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Token_validated_may_refuse()
    {
        await using var host = await IssuerHost.StartAsync(options => options.Events = new JwtBearerEvents
        {
            OnTokenValidated = context =>
            {
                context.Fail("session ended");
                return Task.CompletedTask;
            },
        });

        using var response = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task Metadata_without_https_is_refused_by_default()
    {
        await using var host = await IssuerHost.StartAsync(options => options.RequireHttpsMetadata = true);

        using var response = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    private static string Forge(IssuerHost host, string forgery)
    {
        using var foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        switch (forgery)
        {
            case "audience":
                return host.Issue(descriptor => descriptor.Audience = "elsewhere");
            case "quotes":
                return host.Issue(descriptor => descriptor.Audience = "a\"b\\c\r\nX-Injected: 1 한글");
            case "issuer":
                return host.Issue(descriptor => descriptor.Issuer = "https://elsewhere.example");
            case "type":
                return host.Issue(descriptor => descriptor.TokenType = "id+jwt");
            case "no type":
                return host.Issue(descriptor => descriptor.TokenType = null);
            case "no expiry":
                return host.Issue(descriptor => descriptor.Expires = null);
            case "not yet":
                return host.Issue(descriptor =>
                {
                    descriptor.NotBefore = DateTime.UtcNow.AddMinutes(2);
                    descriptor.Expires = DateTime.UtcNow.AddMinutes(5);
                });
            case "foreign":
                return host.Issue(key: new ECDsaSecurityKey(foreign) { KeyId = "foreign" });
            case "foreign same kid":
                return host.Issue(key: new ECDsaSecurityKey(foreign) { KeyId = "first" });
            case "tampered":
                var parts = host.Issue().Split('.');
                var payload = Base64UrlEncoder.Decode(parts[1]).Replace("\"7\"", "\"8\"", StringComparison.Ordinal);
                return $"{parts[0]}.{Base64UrlEncoder.Encode(payload)}.{parts[2]}";
            case "none":
                var header = Base64UrlEncoder.Encode("""{"alg":"none","typ":"at+jwt"}""");
                return $"{header}.{host.Issue().Split('.')[1]}.";
            case "hmac":
                return host.Issue(descriptor => descriptor.SigningCredentials = new SigningCredentials(
                    new SymmetricSecurityKey(RandomNumberGenerator.GetBytes(32)) { KeyId = "first" }, SecurityAlgorithms.HmacSha256));
            default:
                return "not.a.token";
        }
    }
}
