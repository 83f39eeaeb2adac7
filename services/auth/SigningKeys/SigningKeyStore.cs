using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.IdentityModel.Tokens;
using Npgsql;

namespace Fleet.Auth.SigningKeys;

/// <summary>Signing keys in PostgreSQL; the private part is encrypted with ASP.NET data protection.</summary>
internal sealed class SigningKeyStore(NpgsqlDataSource database, IDataProtectionProvider protection, TimeProvider time)
{
    private const string Select = "SELECT id, private_key, is_active FROM signing_keys WHERE algorithm = 'ES256' ORDER BY created_at";

    private const string Insert = """
        INSERT INTO signing_keys (id, algorithm, private_key, is_active, created_at) VALUES ($1, 'ES256', $2, true, $3)
        """;

    private readonly IDataProtector _protector = protection.CreateProtector("Fleet.Auth.SigningKeys");

    public async Task<IReadOnlyList<StoredKey>> ReadAllAsync(CancellationToken cancellationToken)
    {
        var keys = new List<StoredKey>();
        await using var command = database.CreateCommand(Select);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var ecdsa = ECDsa.Create();
            ecdsa.ImportPkcs8PrivateKey(_protector.Unprotect(Convert.FromBase64String(reader.GetString(1))), out _);
            keys.Add(new StoredKey(new ECDsaSecurityKey(ecdsa) { KeyId = reader.GetString(0) }, reader.GetBoolean(2)));
        }

        return keys;
    }

    /// <summary>Makes the key that signs from now on. The caller holds the start-up lock.</summary>
    public async Task CreateActiveAsync(CancellationToken cancellationToken)
    {
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using var command = database.CreateCommand(Insert);
        command.Parameters.Add(new() { Value = Guid.CreateVersion7().ToString("N") });
        command.Parameters.Add(new() { Value = Convert.ToBase64String(_protector.Protect(ecdsa.ExportPkcs8PrivateKey())) });
        command.Parameters.Add(new() { Value = time.GetUtcNow() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    internal sealed record StoredKey(ECDsaSecurityKey Key, bool IsActive);
}
