using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Fleet.Gateway.Tests;

public sealed class TokenTests(GatewayFixture fleet) : IClassFixture<GatewayFixture>
{
    public static TheoryData<string> BadTokens => ["expired", "foreign", "audience", "garbage", "empty"];

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task A_bad_token_is_refused_at_the_edge(string kind)
    {
        var seen = fleet["chat"].Seen.Count;
        using var client = fleet.CreateClient();
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "Bearer " + Token(kind));

        using var answer = await client.GetAsync("/api/sessions");
        var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("urn:fleet:problem:invalid-token", problem.GetProperty("type").GetString());
        Assert.Equal(32, problem.GetProperty("traceId").GetString()!.Length);
        Assert.Contains("invalid_token", answer.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Equal(seen, fleet["chat"].Seen.Count);
    }

    [Fact]
    public async Task A_bad_token_on_v1_gets_the_error_object_SDKs_read()
    {
        using var client = fleet.CreateClient(fleet.Tokens.Expired(Guid.NewGuid()));

        using var answer = await client.GetAsync("/v1/models");
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("authentication_error", error.GetProperty("type").GetString());
        Assert.Equal("invalid_token", error.GetProperty("code").GetString());
        Assert.Equal(JsonValueKind.Null, error.GetProperty("param").ValueKind);
        Assert.Equal(error.GetProperty("trace_id").GetString(), answer.Headers.GetValues("x-request-id").Single());
    }

    [Fact]
    public async Task No_token_passes_and_the_service_decides()
    {
        using var client = fleet.CreateClient();

        using var answer = await client.GetAsync("/api/sessions");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Signing_in_works_with_the_token_that_ran_out()
    {
        await using var auth = await Upstream.StartAsync("auth");
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", auth.Address));
        using var client = gateway.CreateClient(fleet.Tokens.Expired(Guid.NewGuid()));

        using var answer = await client.PostAsync("/api/auth/refresh", null);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Tokens_pass_unchecked_while_the_keys_cannot_be_had()
    {
        await using var gateway = await fleet.StartAsync(("services:auth:http:0", "http://127.0.0.1:9"));
        using var client = gateway.CreateClient(fleet.Tokens.Issue(Guid.NewGuid()));

        using var answer = await client.GetAsync("/api/sessions");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private string Token(string kind) => kind switch
    {
        "expired" => fleet.Tokens.Expired(Guid.NewGuid()),
        "foreign" => fleet.Tokens.Foreign(Guid.NewGuid()),
        "audience" => fleet.Tokens.WrongAudience(Guid.NewGuid()),
        "garbage" => "not.a.token",
        _ => "",
    };
}
