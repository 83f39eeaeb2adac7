using System.Net;
using Fleet.Testing;
using Xunit;

namespace Fleet.Auth.Tests.Users;

public sealed class AdministratorBootstrapTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-auth-").FullName;

    private string PasswordFile => Path.Combine(_directory, "state", "admin-password");

    [Fact]
    public async Task First_start_creates_the_administrator_and_the_second_changes_nothing()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using (var first = await StartAsync(database))
        {
            var tokens = await first.SignInAsync("admin", File.ReadAllText(PasswordFile).Trim());
            using var client = first.Client(tokens.AccessToken);
            var me = await AuthServer.JsonAsync(await client.GetAsync("/api/auth/me"));
            Assert.Equal("administrator", me.GetProperty("roles")[0].GetString());
        }

        var written = File.ReadAllText(PasswordFile);
        var hash = await database.ScalarAsync("SELECT password_hash FROM users WHERE user_name = 'admin'");
        await using var second = await StartAsync(database);

        Assert.Equal(written, File.ReadAllText(PasswordFile));
        Assert.Equal(hash, await database.ScalarAsync("SELECT password_hash FROM users WHERE user_name = 'admin'"));
        Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM users"));
    }

    [Fact]
    public async Task Password_file_is_for_its_owner_only_even_where_another_lay()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PasswordFile)!);
        await File.WriteAllTextAsync(PasswordFile, "left over");
        await using var database = await TestDatabase.CreateAsync();

        await using var server = await StartAsync(database);

        Assert.NotEqual("left over", File.ReadAllText(PasswordFile));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PasswordFile));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(PasswordFile)!));
    }

    [Fact]
    public async Task Replicas_starting_together_agree_on_administrator_and_signing_key()
    {
        await using var database = await TestDatabase.CreateAsync();

        var servers = await Task.WhenAll(StartAsync(database), StartAsync(database), StartAsync(database));

        try
        {
            Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM users"));
            Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM outbox_messages WHERE type = 'UserRegistered'"));
            Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM signing_keys"));
            var password = File.ReadAllText(PasswordFile).Trim();
            var tokens = await servers[0].SignInAsync("admin", password);
            foreach (var server in servers)
            {
                using var client = server.Client(tokens.AccessToken);
                using var response = await client.GetAsync("/api/auth/me");
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            }
        }
        finally
        {
            foreach (var server in servers)
                await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task Without_a_file_there_is_no_administrator()
    {
        await using var server = await AuthServer.StartAsync();

        Assert.Equal(0L, await server.Database.ScalarAsync("SELECT count(*) FROM users"));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private Task<AuthServer> StartAsync(TestDatabase database) =>
        AuthServer.StartAsync(database, settings: [new("Auth:AdministratorPasswordFile", PasswordFile)]);
}
