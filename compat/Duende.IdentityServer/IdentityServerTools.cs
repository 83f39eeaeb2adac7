using System.Security.Claims;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;

namespace Duende.IdentityServer;

/// <summary>Issues tokens from the application's own code, without a protocol request.</summary>
public interface IIdentityServerTools
{
    /// <param name="lifetime">Seconds.</param>
    /// <param name="claims">All claims but iss, nbf, iat and exp.</param>
    Task<string> IssueJwtAsync(int lifetime, IEnumerable<Claim> claims);

    Task<string> IssueJwtAsync(int lifetime, string issuer, IEnumerable<Claim> claims);

    Task<string> IssueJwtAsync(int lifetime, string issuer, string tokenType, IEnumerable<Claim> claims);
}

internal sealed class IdentityServerTools(ITokenCreationService tokens, IdentityServerOptions options, TimeProvider time) : IIdentityServerTools
{
    public Task<string> IssueJwtAsync(int lifetime, IEnumerable<Claim> claims) => IssueJwtAsync(
        lifetime,
        options.IssuerUri ?? throw new NotSupportedException("IssueJwtAsync without an issuer needs IdentityServerOptions.IssuerUri here."),
        claims);

    public Task<string> IssueJwtAsync(int lifetime, string issuer, IEnumerable<Claim> claims) =>
        IssueJwtAsync(lifetime, issuer, "access_token", claims);

    public Task<string> IssueJwtAsync(int lifetime, string issuer, string tokenType, IEnumerable<Claim> claims)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(issuer);
        ArgumentException.ThrowIfNullOrWhiteSpace(tokenType);
        ArgumentNullException.ThrowIfNull(claims);
        return tokens.CreateTokenAsync(new Token(tokenType)
        {
            CreationTime = time.GetUtcNow().UtcDateTime,
            Issuer = issuer,
            Lifetime = lifetime,
            Claims = [.. claims],
        });
    }
}
