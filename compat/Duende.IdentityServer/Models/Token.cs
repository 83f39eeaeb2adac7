using System.Security.Claims;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Models;

/// <summary>A token before it is signed.</summary>
public class Token
{
    public Token()
    {
    }

    public Token(string tokenType) => Type = tokenType;

    public string Type { get; set; } = "access_token";

    public ICollection<string> Audiences { get; set; } = [];

    public string Issuer { get; set; } = default!;

    public DateTime CreationTime { get; set; }

    /// <summary>Seconds.</summary>
    public int Lifetime { get; set; }

    public string ClientId { get; set; } = default!;

    public bool IncludeJwtId { get; set; }

    public ICollection<Claim> Claims { get; set; } = [];
}

/// <summary>What a refresh token stands for.</summary>
public class RefreshToken
{
    public DateTime CreationTime { get; set; }

    /// <summary>Seconds.</summary>
    public int Lifetime { get; set; }

    public DateTime? ConsumedTime { get; set; }

    public ClaimsPrincipal Subject { get; set; } = default!;

    public string ClientId { get; set; } = default!;

    public string? SubjectId => Subject?.FindFirst("sub")?.Value;

    public string? SessionId { get; set; }

    public IEnumerable<string> AuthorizedScopes { get; set; } = default!;
}

public class RefreshTokenUpdateRequest
{
    /// <summary>The handle the client presented.</summary>
    public string Handle { get; set; } = default!;

    public Client Client { get; set; } = default!;

    public RefreshToken RefreshToken { get; set; } = default!;

    public bool MustUpdate { get; set; }
}

public class RefreshTokenCreationRequest
{
    public Client Client { get; set; } = default!;

    public ClaimsPrincipal Subject { get; set; } = default!;

    public IEnumerable<string> AuthorizedScopes { get; set; } = default!;

    public Token AccessToken { get; set; } = default!;
}

/// <summary>A public key and what it may be used with.</summary>
public class SecurityKeyInfo
{
    public SecurityKey Key { get; set; } = default!;

    public string SigningAlgorithm { get; set; } = default!;
}
