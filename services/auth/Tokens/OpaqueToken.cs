using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Fleet.Auth.Tokens;

/// <summary>
/// Random secrets that only their holder knows. They carry 256 bits, so a plain SHA-256 is enough to keep them by: there is nothing to guess.
/// </summary>
internal static class OpaqueToken
{
    private const int Bytes = 32;

    public static string Create(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    public static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
