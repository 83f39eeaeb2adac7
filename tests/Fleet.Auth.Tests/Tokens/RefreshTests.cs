using System.Net;
using System.Net.Http.Json;
using Fleet.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Xunit;

namespace Fleet.Auth.Tests.Tokens;

public sealed class RefreshTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Refresh_gives_new_tokens_of_the_same_sign_in()
    {
        var first = await _server.SignInAsync();

        var second = await AuthServer.TokensOfAsync(await _server.RefreshAsync(first.RefreshToken));
        var third = await AuthServer.TokensOfAsync(await _server.RefreshAsync(second.RefreshToken));

        Assert.Equal(3, new HashSet<string> { first.RefreshToken, second.RefreshToken, third.RefreshToken }.Count);
        Assert.Equal(new JsonWebToken(first.AccessToken).GetClaim("sid").Value, new JsonWebToken(third.AccessToken).GetClaim("sid").Value);
        Assert.NotEqual(new JsonWebToken(first.AccessToken).Id, new JsonWebToken(third.AccessToken).Id);
    }

    [Fact]
    public async Task Used_token_coming_back_ends_the_whole_family()
    {
        var name = await _server.RegisterAsync();
        var stolen = await _server.SignInAsync(name);
        var otherDevice = await _server.SignInAsync(name);
        var current = await AuthServer.TokensOfAsync(await _server.RefreshAsync(stolen.RefreshToken));

        using var reuse = await _server.RefreshAsync(stolen.RefreshToken);
        using var victim = await _server.RefreshAsync(current.RefreshToken);
        using var other = await _server.RefreshAsync(otherDevice.RefreshToken);

        Assert.Equal(HttpStatusCode.Unauthorized, reuse.StatusCode);
        Assert.Equal("urn:fleet:problem:invalid-refresh-token", (await AuthServer.JsonAsync(reuse)).GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.Unauthorized, victim.StatusCode);
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
    }

    [Fact]
    public async Task Concurrent_refreshes_with_one_token_succeed_once()
    {
        var tokens = await _server.SignInAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _server.RefreshAsync(tokens.RefreshToken)));

        Assert.Single(responses, response => response.StatusCode == HttpStatusCode.OK);
        Assert.Equal(9, responses.Count(response => response.StatusCode == HttpStatusCode.Unauthorized));
    }

    [Fact]
    public async Task Refresh_slides_the_expiry_and_silence_lets_it_pass()
    {
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var server = await AuthServer.StartAsync(time: clock);
        var tokens = await server.SignInAsync();

        clock.Advance(TimeSpan.FromDays(29));
        tokens = await AuthServer.TokensOfAsync(await server.RefreshAsync(tokens.RefreshToken));
        clock.Advance(TimeSpan.FromDays(29));
        tokens = await AuthServer.TokensOfAsync(await server.RefreshAsync(tokens.RefreshToken));
        clock.Advance(TimeSpan.FromDays(31));
        using var late = await server.RefreshAsync(tokens.RefreshToken);

        Assert.Equal(HttpStatusCode.Unauthorized, late.StatusCode);
    }

    [Theory]
    [InlineData("fr_unknown")]
    [InlineData("한글 토큰")]
    [InlineData("\0")]
    public async Task Unknown_token_is_refused(string refreshToken)
    {
        using var response = await _server.RefreshAsync(refreshToken);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task Logout_by_refresh_token_ends_the_sign_in_and_may_be_repeated()
    {
        var tokens = await _server.SignInAsync();

        using var first = await LogoutAsync(tokens.RefreshToken);
        using var second = await LogoutAsync(tokens.RefreshToken);
        using var unknown = await LogoutAsync("fr_unknown");
        using var refresh = await _server.RefreshAsync(tokens.RefreshToken);

        Assert.Equal(HttpStatusCode.NoContent, first.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, second.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, unknown.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, refresh.StatusCode);
    }

    [Fact]
    public async Task Logout_by_access_token_ends_its_sign_in()
    {
        var tokens = await _server.SignInAsync();
        using var client = _server.Client(tokens.AccessToken);

        using var response = await client.PostAsync("/api/auth/logout", content: null);
        using var refresh = await _server.RefreshAsync(tokens.RefreshToken);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, refresh.StatusCode);
    }

    [Fact]
    public async Task Logout_of_nobody_is_refused()
    {
        using var client = _server.Client();

        using var response = await client.PostAsync("/api/auth/logout", content: null);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task Database_holds_hashes_only()
    {
        var tokens = await _server.SignInAsync();
        var secret = tokens.RefreshToken["fr_".Length..];

        var found = await _server.Database.ScalarAsync(
            $"SELECT count(*) FROM refresh_tokens WHERE encode(token_hash, 'escape') LIKE '%{secret}%' OR encode(token_hash, 'base64') LIKE '%{secret[..20]}%'");

        Assert.Equal(0L, found);
    }

    private async Task<HttpResponseMessage> LogoutAsync(string refreshToken)
    {
        using var client = _server.Client();
        return await client.PostAsJsonAsync("/api/auth/logout", new { refreshToken });
    }
}
