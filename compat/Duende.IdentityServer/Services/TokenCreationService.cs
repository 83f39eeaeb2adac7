using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Services;

/// <summary>Signs tokens as JWT with the current signing credential.</summary>
internal sealed class TokenCreationService(KeyMaterial keys, IdentityServerOptions options) : ITokenCreationService
{
    private static readonly JsonWebTokenHandler Handler = new() { SetDefaultTimesOnTokenCreation = false };

    public async Task<string> CreateTokenAsync(Token token)
    {
        var payload = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var claims in token.Claims.GroupBy(claim => claim.Type, StringComparer.Ordinal))
        {
            var values = claims.DistinctBy(claim => (claim.Value, claim.ValueType)).Select(ValueOf).ToArray();
            payload[claims.Key] = claims.Key == "scope" ? ScopesOf(values) : values is [var only] ? only : values;
        }

        var audiences = token.Audiences.Concat(token.Claims.Where(claim => claim.Type == "aud").Select(claim => claim.Value)).Distinct().ToArray();
        if (audiences.Length > 0)
            payload["aud"] = audiences is [var audience] ? audience : audiences;

        if (token.IncludeJwtId)
            payload["jti"] = Guid.NewGuid().ToString("N").ToUpperInvariant();

        return Handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = token.Issuer,
            IssuedAt = token.CreationTime,
            NotBefore = token.CreationTime,
            Expires = token.CreationTime.AddSeconds(token.Lifetime),
            TokenType = token.Type == "access_token" && options.AccessTokenJwtType.Length > 0 ? options.AccessTokenJwtType : "JWT",
            Claims = payload,
            SigningCredentials = await keys.SigningAsync().ConfigureAwait(false),
        });
    }

    private object ScopesOf(object[] scopes) =>
        options.EmitScopesAsSpaceDelimitedStringInJwt ? string.Join(' ', scopes) : scopes;

    private static object ValueOf(Claim claim) => claim.ValueType switch
    {
        ClaimValueTypes.Boolean => bool.Parse(claim.Value),
        ClaimValueTypes.Integer or ClaimValueTypes.Integer32 => int.Parse(claim.Value, CultureInfo.InvariantCulture),
        ClaimValueTypes.Integer64 => long.Parse(claim.Value, CultureInfo.InvariantCulture),
        JsonClaimValueTypes.Json or JsonClaimValueTypes.JsonArray => JsonSerializer.Deserialize<JsonElement>(claim.Value),
        _ => claim.Value,
    };
}
