using Duende.IdentityServer.Models;

namespace Duende.IdentityServer.Services;

/// <summary>Everything tokens can be asked for.</summary>
internal sealed class ResourceCatalogue(
    IEnumerable<IEnumerable<ApiScope>> scopes, IEnumerable<IEnumerable<ApiResource>> apis, IEnumerable<IEnumerable<IdentityResource>> identities)
{
    public IReadOnlyList<ApiScope> Scopes { get; } = [.. scopes.SelectMany(all => all).Where(scope => scope.Enabled)];

    public IReadOnlyList<ApiResource> Apis { get; } = [.. apis.SelectMany(all => all).Where(api => api.Enabled)];

    public IReadOnlyList<IdentityResource> Identities { get; } = [.. identities.SelectMany(all => all).Where(identity => identity.Enabled)];

    public bool IsApiScope(string name) => Scopes.Any(scope => scope.Name == name);

    public bool IsIdentityScope(string name) => Identities.Any(identity => identity.Name == name);

    public IEnumerable<string> AudiencesOf(IReadOnlyCollection<string> granted) =>
        Apis.Where(api => api.Scopes.Any(granted.Contains)).Select(api => api.Name);

    /// <summary>User claims that an access token for these scopes carries.</summary>
    public IEnumerable<string> AccessTokenClaimsOf(IReadOnlyCollection<string> granted) =>
        Scopes.Where(scope => granted.Contains(scope.Name)).SelectMany(scope => scope.UserClaims)
            .Concat(Apis.Where(api => api.Scopes.Any(granted.Contains)).SelectMany(api => api.UserClaims))
            .Distinct();

    /// <summary>User claims that the user info endpoint tells for these scopes.</summary>
    public IEnumerable<string> UserInfoClaimsOf(IReadOnlyCollection<string> granted) =>
        Identities.Where(identity => granted.Contains(identity.Name)).SelectMany(identity => identity.UserClaims).Distinct();
}
