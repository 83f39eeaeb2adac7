using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Contracts.Auth.V1;
using Fleet.Testing;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.IdentityModel.JsonWebTokens;
using Xunit;

namespace Fleet.Auth.Tests.ApiKeys;

public sealed class ApiKeyTests(SharedAuthServer shared)
{
    private readonly AuthServer _server = shared.Server;

    [Fact]
    public async Task Secret_is_shown_once_and_kept_as_a_hash()
    {
        using var client = await SignedInAsync();

        var created = await CreateAsync(client, "laptop");
        var secret = created.GetProperty("secret").GetString()!;
        var list = await AuthServer.JsonAsync(await client.GetAsync("/api/auth/keys"));

        Assert.StartsWith("fk_", secret);
        Assert.StartsWith(created.GetProperty("prefix").GetString()!, secret);
        var listed = Assert.Single(list.GetProperty("items").EnumerateArray());
        Assert.Equal("laptop", listed.GetProperty("name").GetString());
        Assert.False(listed.TryGetProperty("secret", out _));
        Assert.Equal(
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(secret))),
            await _server.Database.ScalarAsync($"SELECT encode(secret_hash, 'hex') FROM api_keys WHERE id = '{created.GetProperty("id").GetString()}'"));
    }

    [Fact]
    public async Task Key_is_exchanged_for_a_token_of_its_owner()
    {
        var name = await _server.RegisterAsync();
        using var client = await SignedInAsync(name);
        var created = await CreateAsync(client, "script");

        var exchange = await ExchangeAsync(created.GetProperty("secret").GetString()!);
        using var asKey = _server.Client(exchange.AccessToken);
        var me = await AuthServer.JsonAsync(await asKey.GetAsync("/api/auth/me"));
        var listed = await AuthServer.JsonAsync(await client.GetAsync("/api/auth/keys"));

        Assert.Equal(name, me.GetProperty("username").GetString());
        Assert.Equal(created.GetProperty("id").GetString(), exchange.KeyId);
        Assert.Equal(me.GetProperty("id").GetString(), exchange.UserId);
        Assert.Equal(900, exchange.ExpiresIn);
        Assert.Equal(exchange.KeyId, new JsonWebToken(exchange.AccessToken).GetClaim("api_key").Value);
        Assert.Equal(JsonValueKind.String, listed.GetProperty("items")[0].GetProperty("lastUsedAt").ValueKind);
    }

    [Theory]
    [InlineData("GET", "/api/auth/keys")]
    [InlineData("POST", "/api/auth/keys")]
    [InlineData("GET", "/api/auth/sessions")]
    [InlineData("PATCH", "/api/auth/me")]
    public async Task Key_may_not_manage_the_account(string method, string path)
    {
        using var client = await SignedInAsync();
        var exchange = await ExchangeAsync((await CreateAsync(client, "script")).GetProperty("secret").GetString()!);
        using var asKey = _server.Client(exchange.AccessToken);

        using var response = await asKey.SendAsync(new HttpRequestMessage(new HttpMethod(method), path)
        {
            Content = method == "GET" ? null : JsonContent.Create(new { name = "another" }),
        });

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task Revoked_key_is_refused_and_everyone_is_told()
    {
        using var client = await SignedInAsync();
        using var stranger = await SignedInAsync();
        var created = await CreateAsync(client, "lost");
        var id = created.GetProperty("id").GetString();

        using var foreign = await stranger.DeleteAsync($"/api/auth/keys/{id}");
        await ExchangeAsync(created.GetProperty("secret").GetString()!);
        using var revoked = await client.DeleteAsync($"/api/auth/keys/{id}");
        using var again = await client.DeleteAsync($"/api/auth/keys/{id}");
        var refusal = await Assert.ThrowsAsync<RpcException>(() => ExchangeAsync(created.GetProperty("secret").GetString()!));

        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);
        Assert.Equal(StatusCode.Unauthenticated, refusal.StatusCode);
        await Eventually.TrueAsync(
            async () => await _server.Database.ScalarAsync(
                $"SELECT count(*) FROM outbox_messages WHERE type = 'ApiKeyRevoked' AND payload->>'keyId' = '{id}' AND published_at IS NOT NULL") is 1L,
            "the revocation was never published");
    }

    [Fact]
    public async Task Key_near_its_end_gives_a_token_that_ends_with_it_and_then_none()
    {
        var clock = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var server = await AuthServer.StartAsync(time: clock);
        using var client = server.Client((await server.SignInAsync()).AccessToken);
        using var response = await client.PostAsJsonAsync("/api/auth/keys", new { name = "short", expiresAt = clock.GetUtcNow().AddMinutes(10) });
        var secret = (await AuthServer.JsonAsync(response)).GetProperty("secret").GetString()!;

        clock.Advance(TimeSpan.FromMinutes(7));
        var late = await ExchangeAsync(secret, server);
        clock.Advance(TimeSpan.FromMinutes(3));
        var over = await Assert.ThrowsAsync<RpcException>(() => ExchangeAsync(secret, server));

        Assert.InRange(late.ExpiresIn, 179, 180);
        Assert.Equal(StatusCode.Unauthenticated, over.StatusCode);
    }

    [Theory]
    [InlineData("", StatusCode.InvalidArgument)]
    [InlineData("fk_unknown", StatusCode.Unauthenticated)]
    [InlineData("sk_unknown", StatusCode.Unauthenticated)]
    [InlineData("\0", StatusCode.Unauthenticated)]
    public async Task Nonsense_is_refused(string key, StatusCode status)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => ExchangeAsync(key));

        Assert.Equal(status, refusal.StatusCode);
    }

    [Fact]
    public async Task Number_of_keys_is_limited_even_for_concurrent_requests()
    {
        await using var server = await AuthServer.StartAsync(settings: [new("Auth:MaxApiKeysPerUser", "3")]);
        using var client = server.Client((await server.SignInAsync()).AccessToken);

        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => client.PostAsJsonAsync("/api/auth/keys", new { name = $"k{i}" })));

        Assert.Equal(3, responses.Count(response => response.StatusCode == HttpStatusCode.Created));
        Assert.Equal(5, responses.Count(response => response.StatusCode == HttpStatusCode.Conflict));
    }

    [Fact]
    public async Task List_comes_in_pages_newest_first()
    {
        using var client = await SignedInAsync();
        for (var i = 0; i < 5; i++)
            await CreateAsync(client, $"k{i}");

        var names = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await AuthServer.JsonAsync(await client.GetAsync($"/api/auth/keys?limit=2{(cursor is null ? "" : "&cursor=" + cursor)}"));
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(key => key.GetProperty("name").GetString()));
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(["k4", "k3", "k2", "k1", "k0"], names);
    }

    private async Task<HttpClient> SignedInAsync(string? name = null) => _server.Client((await _server.SignInAsync(name)).AccessToken);

    private static async Task<JsonElement> CreateAsync(HttpClient client, string name)
    {
        using var response = await client.PostAsJsonAsync("/api/auth/keys", new { name });
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return await AuthServer.JsonAsync(response);
    }

    private async Task<ExchangeApiKeyResponse> ExchangeAsync(string apiKey, AuthServer? server = null)
    {
        using var channel = GrpcChannel.ForAddress((server ?? _server).GrpcAddress);
        var client = new Contracts.Auth.V1.Auth.AuthClient(channel);
        return await client.ExchangeApiKeyAsync(
            new ExchangeApiKeyRequest { ApiKey = apiKey }, deadline: DateTime.UtcNow.AddSeconds(20), cancellationToken: TestContext.Current.CancellationToken);
    }
}
