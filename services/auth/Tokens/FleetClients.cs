using Duende.IdentityServer;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Stores;
using Fleet.ServiceDefaults.Security;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Tokens;

/// <summary>Who may ask for tokens: the fleet's own services, each with a client of its name, and its first-party applications.</summary>
internal sealed class FleetClients(IOptions<AuthOptions> options) : IClientStore
{
    /// <summary>The client of people who signed in through <c>/api/auth</c>.</summary>
    public const string FirstParty = "fleet";

    /// <summary>Stands as client of tokens that an API key was exchanged for.</summary>
    public const string ApiKey = "api-key";

    public const string PeopleScope = "fleet";

    public static readonly string[] ScopesOfPeople =
        [IdentityServerConstants.StandardScopes.OpenId, IdentityServerConstants.StandardScopes.Profile, PeopleScope];

    public static readonly string[] Services = ["gateway", "chat", "inference", "knowledge", "analytics", "notification"];

    public static readonly ApiScope[] Scopes =
    [
        new(PeopleScope, "The fleet on behalf of a person", [FleetClaims.Name, FleetClaims.Role, FleetClaims.Tenant]),
        new(FleetClaims.InternalScope, "Work inside the fleet that no person asked for") { ShowInDiscoveryDocument = false },
    ];

    public static readonly ApiResource[] Apis =
        [new(FleetClaims.Audience, "Fleet") { Scopes = [PeopleScope, FleetClaims.InternalScope] }];

    public static readonly IdentityResource[] Identities = [new IdentityResources.OpenId(), new IdentityResources.Profile()];

    public Task<Client?> FindClientByIdAsync(string clientId) => Task.FromResult(clientId switch
    {
        FirstParty => ForPeople(),
        _ when Services.Contains(clientId) && options.Value.ClientSecret is { } secret => ForService(clientId, secret),
        _ => null,
    });

    private Client ForPeople() => new()
    {
        ClientId = FirstParty,
        // It runs on people's devices and cannot keep a secret; what counts is the refresh token.
        RequireClientSecret = false,
        // Sign-in itself is POST /api/auth/login; at the token endpoint this client can only refresh.
        AllowedGrantTypes = ["fleet_sign_in"],
        AllowOfflineAccess = true,
        UpdateAccessTokenClaimsOnRefresh = true,
        AllowedScopes = [.. ScopesOfPeople],
        AccessTokenLifetime = (int)options.Value.AccessTokenLifetime.TotalSeconds,
    };

    private Client ForService(string name, string secret) => new()
    {
        ClientId = name,
        ClientSecrets = [new Secret(secret.Sha256())],
        AllowedGrantTypes = GrantTypes.ClientCredentials,
        AllowedScopes = [FleetClaims.InternalScope],
        AccessTokenLifetime = (int)options.Value.AccessTokenLifetime.TotalSeconds,
    };
}
