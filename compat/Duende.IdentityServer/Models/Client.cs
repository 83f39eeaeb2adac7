namespace Duende.IdentityServer.Models;

/// <summary>An application that asks for tokens.</summary>
public class Client
{
    public bool Enabled { get; set; } = true;

    public string ClientId { get; set; } = default!;

    public string? ClientName { get; set; }

    /// <summary>Hashes, made with <see cref="HashExtensions.Sha256(string)"/>.</summary>
    public ICollection<Secret> ClientSecrets { get; set; } = [];

    public bool RequireClientSecret { get; set; } = true;

    public ICollection<string> AllowedGrantTypes { get; set; } = [];

    public ICollection<string> AllowedScopes { get; set; } = [];

    /// <summary>The client may use refresh tokens.</summary>
    public bool AllowOfflineAccess { get; set; }

    /// <summary>Seconds.</summary>
    public int AccessTokenLifetime { get; set; } = 3600;

    /// <summary>Claims are read anew at every refresh; the only behaviour offered here.</summary>
    public bool UpdateAccessTokenClaimsOnRefresh { get; set; }

    public bool IncludeJwtId { get; set; } = true;
}
