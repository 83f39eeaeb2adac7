using System.Net;
using System.Net.Http.Json;
using Xunit;

namespace Fleet.Auth.Tests.Users;

public sealed class ProfileTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Me_is_the_caller()
    {
        var name = await _server.RegisterAsync();
        using var client = _server.Client((await _server.SignInAsync(name)).AccessToken);

        var me = await AuthServer.JsonAsync(await client.GetAsync("/api/auth/me"));

        Assert.Equal(name, me.GetProperty("username").GetString());
        Assert.Equal(name, me.GetProperty("displayName").GetString());
        Assert.Equal("default", me.GetProperty("tenant").GetString());
    }

    [Fact]
    public async Task Display_name_can_be_set_and_taken_away()
    {
        var name = await _server.RegisterAsync();
        using var client = _server.Client((await _server.SignInAsync(name)).AccessToken);

        var set = await AuthServer.JsonAsync(await client.PatchAsJsonAsync("/api/auth/me", new { displayName = " 홍길동 " }));
        var untouched = await AuthServer.JsonAsync(await client.PatchAsJsonAsync("/api/auth/me", new { }));
        var taken = await AuthServer.JsonAsync(await client.PatchAsJsonAsync("/api/auth/me", new { displayName = "" }));

        Assert.Equal("홍길동", set.GetProperty("displayName").GetString());
        Assert.Equal("홍길동", untouched.GetProperty("displayName").GetString());
        Assert.Equal(name, taken.GetProperty("displayName").GetString());
    }

    [Theory]
    [InlineData("GET", "/api/auth/me")]
    [InlineData("PATCH", "/api/auth/me")]
    [InlineData("GET", "/api/auth/sessions")]
    [InlineData("DELETE", "/api/auth/sessions/01a1f935-1ec2-7a0e-91e0-12ee712dd8f9")]
    [InlineData("GET", "/api/auth/keys")]
    [InlineData("POST", "/api/auth/keys")]
    [InlineData("DELETE", "/api/auth/keys/01a1f935-1ec2-7a0e-91e0-12ee712dd8f9")]
    public async Task Without_a_token_nothing_is_told(string method, string path)
    {
        using var client = _server.Client();

        using var response = await client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }
}
