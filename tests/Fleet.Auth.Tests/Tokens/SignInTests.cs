using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Xunit;

namespace Fleet.Auth.Tests.Tokens;

public sealed class SignInTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Access_token_says_what_the_fleet_agreed_on()
    {
        var name = await _server.RegisterAsync();

        var tokens = await _server.SignInAsync(name);

        var token = new JsonWebToken(tokens.AccessToken);
        var userId = await _server.Database.ScalarAsync($"SELECT id FROM users WHERE user_name = '{name}'");
        Assert.Equal("ES256", token.Alg);
        Assert.Equal("at+jwt", token.Typ);
        Assert.NotEmpty(token.Kid);
        Assert.Equal(AuthServer.Issuer, token.Issuer);
        Assert.Equal(["fleet"], token.Audiences);
        Assert.Equal(userId!.ToString(), token.Subject);
        Assert.Equal(name, token.GetClaim("name").Value);
        Assert.Equal(["member"], token.Claims.Where(claim => claim.Type == "role").Select(claim => claim.Value));
        Assert.Equal("default", token.GetClaim("tenant").Value);
        Assert.True(Guid.TryParse(token.GetClaim("jti").Value, out _));
        Assert.True(Guid.TryParse(token.GetClaim("sid").Value, out _));
        Assert.Equal("openid profile fleet", token.GetClaim("scope").Value);
        Assert.Equal(TimeSpan.FromMinutes(15), token.ValidTo - token.ValidFrom);
        Assert.Equal("Bearer", tokens.TokenType);
        Assert.Equal(900, tokens.ExpiresIn);
        Assert.DoesNotContain("@example.com", Microsoft.IdentityModel.Tokens.Base64UrlEncoder.Decode(token.EncodedPayload));
    }

    [Fact]
    public async Task Wrong_password_and_unknown_user_get_the_same_answer()
    {
        var name = await _server.RegisterAsync();

        using var wrongPassword = await _server.LoginAsync(name, "not this password");
        using var unknownUser = await _server.LoginAsync(AuthServer.NewName(), "not this password");

        Assert.Equal(HttpStatusCode.Unauthorized, wrongPassword.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, unknownUser.StatusCode);
        Assert.Equal(await WithoutTraceAsync(wrongPassword), await WithoutTraceAsync(unknownUser));
    }

    [Fact]
    public void Unknown_users_cost_as_many_rounds_as_real_ones()
    {
        var hasher = new Microsoft.AspNetCore.Identity.PasswordHasherOptions { IterationCount = 123_456 };
        var unknown = new Auth.Users.UnknownUserHash(Microsoft.Extensions.Options.Options.Create(hasher));

        // Identity's version 3 format: marker, algorithm (4 bytes), rounds (4 bytes), …
        var rounds = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(Convert.FromBase64String(unknown.Value).AsSpan(5));

        Assert.Equal(123_456, rounds);
    }

    [Fact]
    public async Task Failures_lock_the_account_for_a_while()
    {
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var server = await AuthServer.StartAsync(time: clock);
        var name = await server.RegisterAsync();
        for (var i = 0; i < 5; i++)
            (await server.LoginAsync(name, "not this password")).Dispose();

        using var locked = await server.LoginAsync(name);
        clock.Advance(TimeSpan.FromMinutes(4));
        using var stillLocked = await server.LoginAsync(name);
        clock.Advance(TimeSpan.FromMinutes(2));
        using var open = await server.LoginAsync(name);

        Assert.Equal(HttpStatusCode.Unauthorized, locked.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, stillLocked.StatusCode);
        Assert.Equal(HttpStatusCode.OK, open.StatusCode);
    }

    [Fact]
    public async Task Failures_at_the_same_moment_all_count()
    {
        var name = await _server.RegisterAsync();

        var failures = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => _server.LoginAsync(name, "not this password")));
        using var right = await _server.LoginAsync(name);

        Assert.All(failures, response => Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode));
        Assert.Equal(HttpStatusCode.Unauthorized, right.StatusCode);
    }

    [Fact]
    public async Task Success_forgets_earlier_failures()
    {
        var name = await _server.RegisterAsync();
        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < 4; i++)
                (await _server.LoginAsync(name, "not this password")).Dispose();

            using var right = await _server.LoginAsync(name);
            Assert.Equal(HttpStatusCode.OK, right.StatusCode);
        }
    }

    [Fact]
    public async Task Sign_ins_are_listed_and_can_be_ended_by_their_owner_only()
    {
        var name = await _server.RegisterAsync();
        var laptop = await _server.SignInAsync(name);
        var phone = await _server.SignInAsync(name);
        var stranger = await _server.SignInAsync();
        using var client = _server.Client(laptop.AccessToken);
        using var strangersClient = _server.Client(stranger.AccessToken);
        var phoneId = new JsonWebToken(phone.AccessToken).GetClaim("sid").Value;

        var before = (await AuthServer.JsonAsync(await client.GetAsync("/api/auth/sessions"))).GetProperty("items").EnumerateArray().ToArray();
        using var refused = await strangersClient.DeleteAsync($"/api/auth/sessions/{phoneId}");
        using var ended = await client.DeleteAsync($"/api/auth/sessions/{phoneId}");
        using var again = await client.DeleteAsync($"/api/auth/sessions/{phoneId}");
        using var refresh = await _server.RefreshAsync(phone.RefreshToken);
        var after = (await AuthServer.JsonAsync(await client.GetAsync("/api/auth/sessions"))).GetProperty("items").EnumerateArray().ToArray();

        Assert.Equal(2, before.Length);
        Assert.Equal([false, true], before.Select(row => row.GetProperty("current").GetBoolean()));
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, refresh.StatusCode);
        Assert.Single(after);
    }

    private static async Task<string> WithoutTraceAsync(HttpResponseMessage response)
    {
        var problem = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
        problem.Remove("traceId");
        return problem.ToJsonString(JsonSerializerOptions.Web);
    }
}
