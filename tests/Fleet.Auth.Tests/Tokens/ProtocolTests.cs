using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Xunit;

namespace Fleet.Auth.Tests.Tokens;

/// <summary>OpenID Connect as other programs see it.</summary>
public sealed class ProtocolTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Discovery_names_what_is_offered_and_nothing_else()
    {
        using var client = _server.Client();

        var document = await AuthServer.JsonAsync(await client.GetAsync("/.well-known/openid-configuration"));

        Assert.Equal(AuthServer.Issuer, document.GetProperty("issuer").GetString());
        Assert.Equal(new Uri(client.BaseAddress!, "/connect/token"), new Uri(document.GetProperty("token_endpoint").GetString()!));
        Assert.Equal(["ES256"], document.GetProperty("id_token_signing_alg_values_supported").EnumerateArray().Select(value => value.GetString()));
        Assert.False(document.TryGetProperty("authorization_endpoint", out _));
        Assert.False(document.TryGetProperty("introspection_endpoint", out _));
        Assert.DoesNotContain("fleet.internal", document.GetRawText());
    }

    [Fact]
    public async Task Discovery_behind_a_gateway_names_the_gateway()
    {
        using var client = _server.Client();
        client.DefaultRequestHeaders.Add("X-Forwarded-Host", "fleet.example");
        client.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");

        var document = await AuthServer.JsonAsync(await client.GetAsync("/.well-known/openid-configuration"));

        Assert.Equal("https://fleet.example/.well-known/openid-configuration/jwks", document.GetProperty("jwks_uri").GetString());
    }

    [Fact]
    public async Task Published_keys_are_public_and_include_the_signing_one()
    {
        using var client = _server.Client();
        var token = new JsonWebToken((await _server.SignInAsync()).AccessToken);

        var keys = (await AuthServer.JsonAsync(await client.GetAsync("/.well-known/openid-configuration/jwks"))).GetProperty("keys");

        var key = Assert.Single(keys.EnumerateArray());
        Assert.Equal(token.Kid, key.GetProperty("kid").GetString());
        Assert.Equal(["kty", "use", "kid", "alg", "crv", "x", "y"], key.EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public async Task Service_gets_a_token_of_its_own()
    {
        using var response = await PostAsync("/connect/token", ("grant_type", "client_credentials"), ("client_id", "chat"),
            ("client_secret", AuthServer.ClientSecret), ("scope", "fleet.internal"));

        var body = await AuthServer.JsonAsync(response);
        var token = new JsonWebToken(body.GetProperty("access_token").GetString());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        Assert.Equal("Bearer", body.GetProperty("token_type").GetString());
        Assert.Equal(900, body.GetProperty("expires_in").GetInt32());
        Assert.False(body.TryGetProperty("refresh_token", out _));
        Assert.Equal("chat", token.GetClaim("client_id").Value);
        Assert.Equal("fleet.internal", token.GetClaim("scope").Value);
        Assert.Equal(["fleet"], token.Audiences);
        Assert.False(token.TryGetClaim("sub", out _));
    }

    [Fact]
    public async Task Service_token_is_nobody_at_the_account_routes()
    {
        using var granted = await PostAsync("/connect/token", ("grant_type", "client_credentials"), ("client_id", "chat"), ("client_secret", AuthServer.ClientSecret));
        using var client = _server.Client((await AuthServer.JsonAsync(granted)).GetProperty("access_token").GetString());

        using var response = await client.GetAsync("/api/auth/me");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    public static TheoryData<string, string, int> Errors => new()
    {
        { "", "invalid_client", 400 },
        { "client_id=chat", "invalid_client", 400 },
        { "client_id=chat&client_secret=wrong&grant_type=client_credentials", "invalid_client", 400 },
        { "client_id=nobody&client_secret={s}&grant_type=client_credentials", "invalid_client", 400 },
        { "client_id=chat&client_secret={s}", "invalid_request", 400 },
        { "client_id=chat&client_secret={s}&grant_type=", "invalid_request", 400 },
        { "client_id=chat&client_secret={s}&grant_type=password&username=a&password=b", "unsupported_grant_type", 400 },
        { "client_id=chat&client_secret={s}&grant_type=authorization_code&code=1", "unsupported_grant_type", 400 },
        { "client_id=chat&client_secret={s}&grant_type=client_credentials&scope=fleet", "invalid_scope", 400 },
        { "client_id=chat&client_secret={s}&grant_type=client_credentials&scope=fleet.internal%20openid", "invalid_scope", 400 },
        { "client_id=chat&client_secret={s}&grant_type=client_credentials&scope=nonsense", "invalid_scope", 400 },
        { "client_id=chat&client_secret={s}&grant_type=client_credentials&grant_type=client_credentials", "invalid_request", 400 },
        { "client_id=chat&client_secret={s}&grant_type=refresh_token&refresh_token=x", "unauthorized_client", 400 },
        { "client_id=fleet&grant_type=client_credentials", "unauthorized_client", 400 },
        { "client_id=fleet&grant_type=refresh_token", "invalid_request", 400 },
        { "client_id=fleet&grant_type=refresh_token&refresh_token=fr_unknown", "invalid_grant", 400 },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public async Task Token_request_errors_follow_RFC_6749_5_2(string form, string error, int status)
    {
        using var client = _server.Client();
        using var content = new StringContent(
            form.Replace("{s}", Uri.EscapeDataString(AuthServer.ClientSecret), StringComparison.Ordinal), Encoding.UTF8, "application/x-www-form-urlencoded");

        using var response = await client.PostAsync("/connect/token", content);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        Assert.Equal(error, (await AuthServer.JsonAsync(response)).GetProperty("error").GetString());
    }

    [Theory]
    [InlineData("chat:wrong")]
    [InlineData("no colon")]
    public async Task Failed_basic_authentication_is_challenged(string credentials)
    {
        using var response = await PostWithBasicAsync(credentials);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.StartsWith("Basic", response.Headers.WwwAuthenticate.ToString());
        Assert.Equal("invalid_client", (await AuthServer.JsonAsync(response)).GetProperty("error").GetString());
    }

    [Fact]
    public async Task Basic_authentication_is_form_encoded_inside()
    {
        using var response = await PostWithBasicAsync($"chat:{Uri.EscapeDataString(AuthServer.ClientSecret)}");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Json_body_and_other_methods_are_refused()
    {
        using var client = _server.Client();
        using var json = new StringContent("{}", Encoding.UTF8, "application/json");

        using var post = await client.PostAsync("/connect/token", json);
        using var get = await client.GetAsync("/connect/token");

        Assert.Equal("invalid_request", (await AuthServer.JsonAsync(post)).GetProperty("error").GetString());
        Assert.Equal(HttpStatusCode.MethodNotAllowed, get.StatusCode);
    }

    [Fact]
    public async Task Refresh_token_works_at_the_token_endpoint_and_rotates_in_the_same_family()
    {
        var name = await _server.RegisterAsync();
        var tokens = await _server.SignInAsync(name);

        using var refreshed = await PostAsync("/connect/token", ("grant_type", "refresh_token"), ("client_id", "fleet"), ("refresh_token", tokens.RefreshToken));
        var body = await AuthServer.JsonAsync(refreshed);
        using var next = await _server.RefreshAsync(body.GetProperty("refresh_token").GetString()!);
        using var reuse = await PostAsync("/connect/token", ("grant_type", "refresh_token"), ("client_id", "fleet"), ("refresh_token", tokens.RefreshToken));
        using var ended = await _server.RefreshAsync((await AuthServer.TokensOfAsync(next)).RefreshToken);

        var token = new JsonWebToken(body.GetProperty("access_token").GetString());
        Assert.Equal(name, token.GetClaim("name").Value);
        Assert.Equal("member", token.GetClaim("role").Value);
        Assert.Equal("default", token.GetClaim("tenant").Value);
        Assert.Equal(new JsonWebToken(tokens.AccessToken).GetClaim("sid").Value, token.GetClaim("sid").Value);
        Assert.Equal("invalid_grant", (await AuthServer.JsonAsync(reuse)).GetProperty("error").GetString());
        Assert.Equal(HttpStatusCode.Unauthorized, ended.StatusCode);
        Assert.Equal(2L, await _server.Database.ScalarAsync(
            $"SELECT count(*) FROM outbox_messages WHERE type = 'UserSignedIn' AND payload->>'method' = 'refresh' AND payload->>'userId' = '{token.Subject}'"));
    }

    [Fact]
    public async Task Revocation_ends_the_sign_in_and_unknown_tokens_are_no_error()
    {
        var tokens = await _server.SignInAsync();

        using var missing = await PostAsync("/connect/revocation", ("client_id", "fleet"));
        using var hint = await PostAsync("/connect/revocation", ("client_id", "fleet"), ("token", "x"), ("token_type_hint", "nonsense"));
        using var unknown = await PostAsync("/connect/revocation", ("client_id", "fleet"), ("token", "x"));
        using var foreign = await PostAsync(
            "/connect/revocation", ("client_id", "chat"), ("client_secret", AuthServer.ClientSecret), ("token", tokens.RefreshToken));
        var alive = await AuthServer.TokensOfAsync(await _server.RefreshAsync(tokens.RefreshToken));
        using var revoked = await PostAsync("/connect/revocation", ("client_id", "fleet"), ("token", alive.RefreshToken));
        using var refresh = await _server.RefreshAsync(alive.RefreshToken);

        Assert.Equal("invalid_request", (await AuthServer.JsonAsync(missing)).GetProperty("error").GetString());
        Assert.Equal("unsupported_token_type", (await AuthServer.JsonAsync(hint)).GetProperty("error").GetString());
        Assert.Equal(HttpStatusCode.OK, unknown.StatusCode);
        Assert.Equal(HttpStatusCode.OK, foreign.StatusCode);
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, refresh.StatusCode);
    }

    [Fact]
    public async Task User_info_tells_who_the_token_stands_for()
    {
        var name = await _server.RegisterAsync();
        var tokens = await _server.SignInAsync(name);
        using var client = _server.Client(tokens.AccessToken);
        using var nobody = _server.Client();
        using var forged = _server.Client(tokens.AccessToken[..^4] + "AAAA");

        var info = await AuthServer.JsonAsync(await client.GetAsync("/connect/userinfo"));
        using var anonymous = await nobody.GetAsync("/connect/userinfo");
        using var refused = await forged.GetAsync("/connect/userinfo");

        Assert.Equal(new JsonWebToken(tokens.AccessToken).Subject, info.GetProperty("sub").GetString());
        Assert.Equal(name, info.GetProperty("preferred_username").GetString());
        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);
        Assert.Equal("Bearer error=\"invalid_token\"", refused.Headers.WwwAuthenticate.ToString());
    }

    private async Task<HttpResponseMessage> PostAsync(string path, params (string Name, string Value)[] form)
    {
        using var client = _server.Client();
        using var content = new FormUrlEncodedContent(form.Select(field => KeyValuePair.Create(field.Name, field.Value)));
        return await client.PostAsync(path, content);
    }

    private async Task<HttpResponseMessage> PostWithBasicAsync(string credentials)
    {
        using var client = _server.Client();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        using var content = new FormUrlEncodedContent([KeyValuePair.Create("grant_type", "client_credentials")]);
        return await client.PostAsync("/connect/token", content);
    }
}
