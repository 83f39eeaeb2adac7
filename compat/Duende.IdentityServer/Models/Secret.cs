using System.Security.Cryptography;
using System.Text;

namespace Duende.IdentityServer.Models;

/// <summary>A hashed shared secret.</summary>
public class Secret
{
    public Secret()
    {
    }

    public Secret(string value, DateTime? expiration = null)
    {
        Value = value;
        Expiration = expiration;
    }

    public string Value { get; set; } = default!;

    public DateTime? Expiration { get; set; }

    public string Type { get; set; } = IdentityServerConstants.SecretTypes.SharedSecret;
}

public static class HashExtensions
{
    /// <summary>Base64 of the SHA-256 of the text's UTF-8 bytes: the form in which secrets are configured.</summary>
    public static string Sha256(this string input) => Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(input)));
}
