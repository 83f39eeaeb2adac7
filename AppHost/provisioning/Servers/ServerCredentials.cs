using System.Security.Cryptography;

namespace Fleet.Provisioning.Servers;

/// <summary>The servers' passwords, made once per clone and kept beside its data: a data directory only opens with its own.</summary>
public sealed record ServerCredentials(string PostgreSql, string RabbitMq, string Redis)
{
    // Letters and digits only: the passwords go into connection strings and configuration files unquoted.
    private const string Alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    private const int Length = 32;

    public static ServerCredentials LoadOrCreate(string file)
    {
        if (AtomicFile.ReadJson<ServerCredentials>(file) is { } kept)
            return kept;

        var made = new ServerCredentials(NewPassword(), NewPassword(), NewPassword());
        AtomicFile.WriteJson(file, made, secret: true);
        return made;
    }

    private static string NewPassword() => RandomNumberGenerator.GetString(Alphabet, Length);
}
