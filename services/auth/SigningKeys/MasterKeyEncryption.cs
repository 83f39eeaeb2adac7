using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.SigningKeys;

/// <summary>Wraps data protection keys with AES-256-GCM under <see cref="AuthOptions.MasterKey"/>.</summary>
internal sealed class MasterKeyEncryptor(byte[] masterKey) : IXmlEncryptor
{
    internal const int NonceBytes = 12;
    internal const int TagBytes = 16;
    private const int KeyBytes = 32;

    public EncryptedXmlInfo Encrypt(XElement plaintextElement)
    {
        var plain = Encoding.UTF8.GetBytes(plaintextElement.ToString(SaveOptions.DisableFormatting));
        var box = new byte[NonceBytes + TagBytes + plain.Length];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(masterKey, TagBytes);
        aes.Encrypt(
            box.AsSpan(0, NonceBytes), plain, box.AsSpan(NonceBytes + TagBytes), box.AsSpan(NonceBytes, TagBytes));
        return new EncryptedXmlInfo(new XElement("masterKeyEncrypted", Convert.ToBase64String(box)), typeof(MasterKeyDecryptor));
    }

    /// <summary>A key derived from the configured secret (HKDF-SHA256, RFC 5869), or null when none is configured.</summary>
    public static byte[]? ReadKey(AuthOptions options) => string.IsNullOrEmpty(options.MasterKey)
        ? null
        : HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(options.MasterKey), KeyBytes, info: "fleet data protection"u8.ToArray());
}

/// <summary>Made by data protection itself, by the type name beside the wrapped key.</summary>
internal sealed class MasterKeyDecryptor(IServiceProvider services) : IXmlDecryptor
{
    public XElement Decrypt(XElement encryptedElement)
    {
        var masterKey = MasterKeyEncryptor.ReadKey(services.GetRequiredService<IOptions<AuthOptions>>().Value)
            ?? throw new InvalidOperationException("The keys in the database are wrapped, and Auth:MasterKey is not set.");
        var box = Convert.FromBase64String(encryptedElement.Value).AsSpan();
        var plain = new byte[box.Length - MasterKeyEncryptor.NonceBytes - MasterKeyEncryptor.TagBytes];
        using var aes = new AesGcm(masterKey, MasterKeyEncryptor.TagBytes);
        aes.Decrypt(
            box[..MasterKeyEncryptor.NonceBytes],
            box[(MasterKeyEncryptor.NonceBytes + MasterKeyEncryptor.TagBytes)..],
            box.Slice(MasterKeyEncryptor.NonceBytes, MasterKeyEncryptor.TagBytes),
            plain);
        return XElement.Parse(Encoding.UTF8.GetString(plain));
    }
}
