using Duende.IdentityServer.Models;
using Duende.IdentityServer.Stores;
using Microsoft.IdentityModel.Tokens;

namespace Duende.IdentityServer.Services;

/// <summary>All keys, whoever keeps them.</summary>
internal sealed class KeyMaterial(IEnumerable<ISigningCredentialStore> signing, IEnumerable<IValidationKeysStore> validation)
{
    public async Task<SigningCredentials> SigningAsync()
    {
        foreach (var store in signing)
        {
            if (await store.GetSigningCredentialsAsync().ConfigureAwait(false) is { } credentials)
                return credentials;
        }

        throw new InvalidOperationException("No signing credential is configured: AddSigningCredential or an ISigningCredentialStore.");
    }

    public async Task<IReadOnlyList<SecurityKeyInfo>> ValidationAsync()
    {
        var keys = new List<SecurityKeyInfo>();
        foreach (var store in validation)
            keys.AddRange(await store.GetValidationKeysAsync().ConfigureAwait(false));

        return keys;
    }
}
