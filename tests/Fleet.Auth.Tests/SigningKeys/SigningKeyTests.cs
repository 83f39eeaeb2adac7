using System.Net;
using System.Security.Cryptography;
using Fleet.Testing;
using Xunit;

namespace Fleet.Auth.Tests.SigningKeys;

public sealed class SigningKeyTests
{
    [Fact]
    public async Task Key_survives_a_restart()
    {
        await using var database = await TestDatabase.CreateAsync();
        TokenSet tokens;
        string name;
        await using (var first = await AuthServer.StartAsync(database))
        {
            name = await first.RegisterAsync();
            tokens = await first.SignInAsync(name);
        }

        await using var second = await AuthServer.StartAsync(database);
        using var client = second.Client(tokens.AccessToken);
        using var response = await client.GetAsync("/api/auth/me");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Private_key_is_not_readable_in_the_database()
    {
        await using var server = await AuthServer.StartAsync();

        var stored = Convert.FromBase64String((string)(await server.Database.ScalarAsync("SELECT private_key FROM signing_keys"))!);

        using var ecdsa = ECDsa.Create();
        Assert.ThrowsAny<CryptographicException>(() => ecdsa.ImportPkcs8PrivateKey(stored, out _));
    }

    [Fact]
    public async Task Master_key_wraps_the_data_protection_keys_and_is_needed_again()
    {
        var masterKey = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        await using var database = await TestDatabase.CreateAsync();
        await using (await AuthServer.StartAsync(database, settings: [new("Auth:MasterKey", masterKey)]))
        {
            var xml = (string)(await database.ScalarAsync("SELECT string_agg(xml, '') FROM data_protection_keys"))!;
            Assert.Contains("masterKeyEncrypted", xml);
            Assert.DoesNotContain("<value>", xml);
        }

        await using (await AuthServer.StartAsync(database, settings: [new("Auth:MasterKey", masterKey)]))
            Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM signing_keys"));

        var wrong = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        await Assert.ThrowsAnyAsync<Exception>(() => AuthServer.StartAsync(database, settings: [new("Auth:MasterKey", wrong)]));
        Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM signing_keys"));
    }
}
