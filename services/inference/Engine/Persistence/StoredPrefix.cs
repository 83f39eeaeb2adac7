using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Engine.Persistence;

/// <summary>
/// A prefix as it lies on disk: a magic word, the length of a JSON header, the header, the sequence's state, and a SHA-256 of all of it. The
/// checksum comes before everything else on reading: llama.cpp cannot see what is wrong with a state of the right size.
/// </summary>
/// <param name="Identity">What the state depends on; another engine's file is not read further.</param>
internal sealed record StoredPrefix(string Identity, PrefixKey Key, IReadOnlyList<int> Tokens, byte[] State)
{
    public const string Extension = ".prefix";

    private const int MaxHeader = 16 * 1024 * 1024;

    private static ReadOnlySpan<byte> Magic => "FleetKV1"u8;

    /// <summary>The file's name: the hash of everything that tells one prefix from another. It does not show whose it is.</summary>
    public string FileName => NameOf(Identity, Key, Tokens);

    public long Size => State.LongLength;

    public static string NameOf(string identity, PrefixKey key, IReadOnlyList<int> tokens)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in (string[])[identity, key.TenantId, key.AdapterKey])
        {
            // Lengths, so that no two different rows of parts are the same bytes.
            var bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(Encoding.UTF8.GetBytes(bytes.Length.ToString(CultureInfo.InvariantCulture) + ":"));
            hash.AppendData(bytes);
        }

        hash.AppendData(MemoryMarshal.AsBytes(tokens.ToArray().AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset()) + Extension;
    }

    public void WriteTo(Stream stream)
    {
        var header = JsonSerializer.SerializeToUtf8Bytes(new Header(Identity, Key.TenantId, Key.AdapterKey, [.. Tokens], State.LongLength));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Write(Magic);
        Write(BitConverter.GetBytes(header.Length));
        Write(header);
        Write(State);
        stream.Write(hash.GetHashAndReset());

        void Write(ReadOnlySpan<byte> bytes)
        {
            hash.AppendData(bytes);
            stream.Write(bytes);
        }
    }

    /// <summary>Null when the bytes are not a whole file of ours.</summary>
    public static StoredPrefix? Read(ReadOnlySpan<byte> file)
    {
        const int Front = 8 + sizeof(int);
        if (file.Length < Front + SHA256.HashSizeInBytes || !file.StartsWith(Magic))
            return null;
        var content = file[..^SHA256.HashSizeInBytes];
        if (!SHA256.HashData(content).AsSpan().SequenceEqual(file[^SHA256.HashSizeInBytes..]))
            return null;

        var length = BitConverter.ToInt32(content[8..]);
        if (length is < 2 or > MaxHeader || length > content.Length - Front)
            return null;
        try
        {
            var header = JsonSerializer.Deserialize<Header>(content.Slice(Front, length));
            var state = content[(Front + length)..];
            return header is { Identity: not null, Tenant: not null, Adapters: not null, Tokens: not null } && header.StateLength == state.Length
                ? new StoredPrefix(header.Identity, new PrefixKey(header.Tenant, header.Adapters), header.Tokens, state.ToArray())
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record Header(string Identity, string Tenant, string Adapters, int[] Tokens, long StateLength);
}
