using System.Net;
using System.Net.Http.Json;
using Fleet.Testing;
using Xunit;

namespace Fleet.Auth.Tests.Users;

public sealed class RegistrationTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Registered_user_can_sign_in_by_name_and_by_email()
    {
        var name = await _server.RegisterAsync();

        using var byName = await _server.LoginAsync(name);
        using var byEmail = await _server.LoginAsync(name.ToUpperInvariant() + "@Example.com");

        Assert.Equal(HttpStatusCode.OK, byName.StatusCode);
        Assert.Equal(HttpStatusCode.OK, byEmail.StatusCode);
    }

    [Fact]
    public async Task Answer_tells_the_account_and_not_the_password()
    {
        var name = AuthServer.NewName();

        using var response = await RegisterAsync(name, name + "@example.com", AuthServer.GoodPassword);

        var user = await AuthServer.JsonAsync(response);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.Equal(name, user.GetProperty("username").GetString());
        Assert.Equal("member", user.GetProperty("roles")[0].GetString());
        Assert.Equal(7, user.EnumerateObject().Count());
        Assert.DoesNotContain("assword", user.GetRawText());
    }

    [Theory]
    [InlineData("username", "ab", "x@example.com", "correct horse battery")]
    [InlineData("username", "has blank", "x@example.com", "correct horse battery")]
    [InlineData("username", "-dash", "x@example.com", "correct horse battery")]
    [InlineData("username", "name@example.com", "x@example.com", "correct horse battery")]
    [InlineData("username", "name\n", "x@example.com", "correct horse battery")]
    [InlineData("username", "", "x@example.com", "correct horse battery")]
    [InlineData("email", "gooduser", "nobody", "correct horse battery")]
    [InlineData("email", "gooduser", "a\0@example.com", "correct horse battery")]
    [InlineData("password", "gooduser", "x@example.com", "short")]
    [InlineData("password", "gooduser", "x@example.com", "Password123")]
    [InlineData("password", "gooduser", "x@example.com", "abababababab")]
    [InlineData("password", "goodusername", "x@example.com", "GoodUserName")]
    [InlineData("password", "gooduser", "long.address@example.com", "long.address")]
    [InlineData("password", "gooduser", "long.address@example.com", "Long.Address@example.com")]
    public async Task Rule_broken_is_named_by_its_field(string field, string name, string email, string password)
    {
        using var response = await RegisterAsync(name, email, password);

        var problem = await AuthServer.JsonAsync(response);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("urn:fleet:problem:validation", problem.GetProperty("type").GetString());
        Assert.Equal([field], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Fact]
    public async Task Password_longer_than_the_limit_is_refused()
    {
        using var response = await RegisterAsync(AuthServer.NewName(), "x@example.com", string.Concat(Enumerable.Repeat("abcdefgh", 17)));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Same_name_in_other_case_is_taken()
    {
        var name = await _server.RegisterAsync();

        using var response = await RegisterAsync(name.ToUpperInvariant(), "other." + name + "@example.com", AuthServer.GoodPassword);

        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
        Assert.Equal("urn:fleet:problem:username-taken", (await AuthServer.JsonAsync(response)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Same_email_in_other_case_is_taken()
    {
        var name = await _server.RegisterAsync();

        using var response = await RegisterAsync(AuthServer.NewName(), name + "@EXAMPLE.com", AuthServer.GoodPassword);

        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
        Assert.Equal("urn:fleet:problem:email-taken", (await AuthServer.JsonAsync(response)).GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("admin")]
    [InlineData("Root")]
    public async Task Names_of_the_fleet_itself_are_taken(string name)
    {
        using var response = await RegisterAsync(name, AuthServer.NewName() + "@example.com", AuthServer.GoodPassword);

        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
    }

    [Fact]
    public async Task Concurrent_registrations_of_one_name_give_one_account_and_one_event()
    {
        var name = AuthServer.NewName();

        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(
            i => RegisterAsync(name, $"{name}.{i}@example.com", AuthServer.GoodPassword)));

        Assert.Single(responses, response => response.StatusCode == HttpStatusCode.Created);
        Assert.Equal(7, responses.Count(response => response.StatusCode == HttpStatusCode.Conflict));
        Assert.Equal(1L, await _server.Database.ScalarAsync($"SELECT count(*) FROM users WHERE user_name = '{name}'"));
        Assert.Equal(1L, await _server.Database.ScalarAsync(
            $"SELECT count(*) FROM outbox_messages WHERE type = 'UserRegistered' AND payload->>'userName' = '{name}'"));
    }

    [Fact]
    public async Task Registration_and_sign_in_are_published()
    {
        var name = await _server.RegisterAsync();
        using var login = await _server.LoginAsync(name);

        await Eventually.TrueAsync(
            async () => (long)(await _server.Database.ScalarAsync($"""
                SELECT count(*) FROM outbox_messages
                WHERE published_at IS NOT NULL AND type IN ('UserRegistered', 'UserSignedIn')
                  AND payload->>'userId' = (SELECT id::text FROM users WHERE user_name = '{name}')
                """))! == 2,
            "RabbitMQ never confirmed both events");
    }

    [Fact]
    public async Task Event_carries_no_email()
    {
        var name = await _server.RegisterAsync();

        var payload = (string)(await _server.Database.ScalarAsync(
            $"SELECT payload::text FROM outbox_messages WHERE type = 'UserRegistered' AND payload->>'userName' = '{name}'"))!;

        Assert.DoesNotContain("@", payload);
    }

    private async Task<HttpResponseMessage> RegisterAsync(string username, string email, string password)
    {
        using var client = _server.Client();
        return await client.PostAsJsonAsync("/api/auth/register", new { username, email, password });
    }
}
