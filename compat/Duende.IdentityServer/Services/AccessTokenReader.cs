using Duende.IdentityServer.Configuration;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Services;

/// <summary>Reads access tokens that this server issued.</summary>
internal sealed class AccessTokenReader(KeyMaterial keys, IdentityServerOptions options)
{
    private static readonly JsonWebTokenHandler Handler = new();

    /// <summary>The token, or null when it is not a valid access token of this issuer.</summary>
    public async Task<JsonWebToken?> ReadAsync(string token, string issuer)
    {
        var known = await keys.ValidationAsync().ConfigureAwait(false);
        var result = await Handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = issuer,
            ValidateAudience = false,
            ValidTypes = [options.AccessTokenJwtType],
            ValidAlgorithms = known.Select(key => key.SigningAlgorithm),
            IssuerSigningKeys = known.Select(key => key.Key),
            ClockSkew = TimeSpan.Zero,
        }).ConfigureAwait(false);
        return result.IsValid ? (JsonWebToken)result.SecurityToken : null;
    }

    public static IReadOnlyCollection<string> ScopesOf(JsonWebToken token) =>
        [.. token.Claims.Where(claim => claim.Type == "scope").SelectMany(claim => claim.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
}
