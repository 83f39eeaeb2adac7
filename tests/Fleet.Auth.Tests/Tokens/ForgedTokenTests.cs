using System.Net;
using System.Security.Cryptography;
using Duende.IdentityServer.Stores;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace Fleet.Auth.Tests.Tokens;

public sealed class ForgedTokenTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Theory]
    [InlineData("genuine", HttpStatusCode.OK)]
    [InlineData("expired", HttpStatusCode.Unauthorized)]
    [InlineData("audience", HttpStatusCode.Unauthorized)]
    [InlineData("issuer", HttpStatusCode.Unauthorized)]
    [InlineData("type", HttpStatusCode.Unauthorized)]
    [InlineData("foreign key", HttpStatusCode.Unauthorized)]
    [InlineData("foreign key, known id", HttpStatusCode.Unauthorized)]
    [InlineData("tampered", HttpStatusCode.Unauthorized)]
    [InlineData("none", HttpStatusCode.Unauthorized)]
    public async Task Only_the_genuine_token_opens(string forgery, HttpStatusCode status)
    {
        using var client = _server.Client(await ForgeAsync(forgery));

        using var response = await client.GetAsync("/api/auth/me");

        Assert.Equal(status, response.StatusCode);
    }

    private async Task<string> ForgeAsync(string forgery)
    {
        var genuine = new JsonWebToken((await _server.SignInAsync()).AccessToken);
        var credentials = (await _server.Services.GetRequiredService<ISigningCredentialStore>().GetSigningCredentialsAsync())!;
        var descriptor = new SecurityTokenDescriptor
        {
            Issuer = AuthServer.Issuer,
            Audience = "fleet",
            TokenType = "at+jwt",
            NotBefore = DateTime.UtcNow.AddMinutes(-20),
            Expires = DateTime.UtcNow.AddMinutes(5),
            Claims = new Dictionary<string, object> { ["sub"] = genuine.Subject },
            SigningCredentials = credentials,
        };
        using var foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        switch (forgery)
        {
            case "expired":
                descriptor.Expires = DateTime.UtcNow.AddMinutes(-1);
                break;
            case "audience":
                descriptor.Audience = "elsewhere";
                break;
            case "issuer":
                descriptor.Issuer = "http://elsewhere";
                break;
            case "type":
                descriptor.TokenType = "JWT";
                break;
            case "foreign key":
                descriptor.SigningCredentials = new SigningCredentials(new ECDsaSecurityKey(foreign) { KeyId = "foreign" }, SecurityAlgorithms.EcdsaSha256);
                break;
            case "foreign key, known id":
                descriptor.SigningCredentials = new SigningCredentials(new ECDsaSecurityKey(foreign) { KeyId = credentials.Key.KeyId }, SecurityAlgorithms.EcdsaSha256);
                break;
            case "tampered":
                var payload = Base64UrlEncoder.Decode(genuine.EncodedPayload).Replace("\"member\"", "\"administrator\"", StringComparison.Ordinal);
                return $"{genuine.EncodedHeader}.{Base64UrlEncoder.Encode(payload)}.{genuine.EncodedSignature}";
            case "none":
                return $"{Base64UrlEncoder.Encode("""{"alg":"none","typ":"at+jwt"}""")}.{genuine.EncodedPayload}.";
        }

        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(descriptor);
    }
}
