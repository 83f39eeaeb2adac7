using Duende.IdentityServer.Models;
using Duende.IdentityServer.Stores;
using Microsoft.IdentityModel.Tokens;

namespace Fleet.Auth.SigningKeys;

/// <summary>
/// The keys in memory: one signs, all of them validate. Thread-safe: the snapshot is replaced as a whole by <see cref="SigningKeyLoader"/>.
/// </summary>
internal sealed class SigningKeyRing : ISigningCredentialStore, IValidationKeysStore
{
    private volatile Snapshot? _snapshot;

    private Snapshot Current => _snapshot ?? throw new InvalidOperationException("The signing keys have not been loaded yet.");

    public IReadOnlyList<SecurityKey> Keys => [.. Current.Published.Select(info => info.Key)];

    public void Replace(ECDsaSecurityKey active, IReadOnlyList<ECDsaSecurityKey> all) => _snapshot = new Snapshot(
        new SigningCredentials(active, SecurityAlgorithms.EcdsaSha256),
        [.. all.Select(key => new SecurityKeyInfo { Key = key, SigningAlgorithm = SecurityAlgorithms.EcdsaSha256 })]);

    public Task<SigningCredentials?> GetSigningCredentialsAsync() => Task.FromResult<SigningCredentials?>(Current.Active);

    public Task<IEnumerable<SecurityKeyInfo>> GetValidationKeysAsync() => Task.FromResult<IEnumerable<SecurityKeyInfo>>(Current.Published);

    private sealed record Snapshot(SigningCredentials Active, IReadOnlyList<SecurityKeyInfo> Published);
}
