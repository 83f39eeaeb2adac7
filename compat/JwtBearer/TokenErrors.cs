using System.Globalization;
using Microsoft.IdentityModel.Tokens;

namespace Microsoft.AspNetCore.Authentication.JwtBearer;

/// <summary>What a client is told about a refused token: the condition, never the key or the token.</summary>
internal static class TokenErrors
{
    public static string Describe(Exception failure) =>
        failure is AggregateException aggregate
            ? string.Join("; ", aggregate.InnerExceptions.Select(One).Where(text => text.Length > 0))
            : One(failure);

    private static string One(Exception failure) => failure switch
    {
        SecurityTokenInvalidAudienceException audience => $"The audience '{audience.InvalidAudience ?? "(null)"}' is invalid",
        SecurityTokenInvalidIssuerException issuer => $"The issuer '{issuer.InvalidIssuer ?? "(null)"}' is invalid",
        SecurityTokenNoExpirationException => "The token has no expiration",
        SecurityTokenInvalidLifetimeException lifetime =>
            $"The token lifetime is invalid; NotBefore: '{Text(lifetime.NotBefore)}', Expires: '{Text(lifetime.Expires)}'",
        SecurityTokenNotYetValidException notYet => $"The token is not valid before '{Text(notYet.NotBefore)}'",
        SecurityTokenExpiredException expired => $"The token expired at '{Text(expired.Expires)}'",
        SecurityTokenSignatureKeyNotFoundException => "The signature key was not found",
        SecurityTokenInvalidSignatureException => "The signature is invalid",
        _ => string.Empty,
    };

    private static string Text(DateTime? time) => time?.ToString(CultureInfo.InvariantCulture) ?? "(null)";
}
