using Duende.IdentityServer.Models;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Stores;

public interface IClientStore
{
    Task<Client?> FindClientByIdAsync(string clientId);
}

/// <summary>The key that signs new tokens.</summary>
public interface ISigningCredentialStore
{
    Task<SigningCredentials?> GetSigningCredentialsAsync();
}

/// <summary>Every key whose tokens are still valid, the signing key among them; published as JWKS.</summary>
public interface IValidationKeysStore
{
    Task<IEnumerable<SecurityKeyInfo>> GetValidationKeysAsync();
}

public interface IRefreshTokenStore
{
    Task<string> StoreRefreshTokenAsync(RefreshToken refreshToken);

    Task UpdateRefreshTokenAsync(string handle, RefreshToken refreshToken);

    Task<RefreshToken?> GetRefreshTokenAsync(string refreshTokenHandle);

    Task RemoveRefreshTokenAsync(string refreshTokenHandle);

    Task RemoveRefreshTokensAsync(string subjectId, string clientId);
}

internal sealed class InMemoryClientStore(IEnumerable<Client> clients) : IClientStore
{
    public Task<Client?> FindClientByIdAsync(string clientId) =>
        Task.FromResult(clients.FirstOrDefault(client => client.ClientId == clientId));
}

internal sealed class InMemorySigningCredentialStore(SigningCredentials credential) : ISigningCredentialStore
{
    public Task<SigningCredentials?> GetSigningCredentialsAsync() => Task.FromResult<SigningCredentials?>(credential);
}

internal sealed class InMemoryValidationKeysStore(IEnumerable<SecurityKeyInfo> keys) : IValidationKeysStore
{
    public Task<IEnumerable<SecurityKeyInfo>> GetValidationKeysAsync() => Task.FromResult(keys);
}
