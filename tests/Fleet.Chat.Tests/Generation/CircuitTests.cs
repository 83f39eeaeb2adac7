using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Fleet.Chat.Tests.Generation;

public sealed class CircuitTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    private const string Route = "/api/v1/circuit-breaker/status";

    [Fact]
    public async Task Everybody_signed_in_sees_every_circuit_with_state_failures_and_next_try()
    {
        var page = (await chat.CreatePerson().Http.GetFromJsonAsync<JsonObject>(Route))!;

        var items = page["items"]!.AsArray();
        Assert.Equal(["model:fake/chat", "upstream:far"], items.Select(item => (string?)item!["name"]));
        Assert.Equal(("closed", 1, null), ((string?)items[0]!["state"], (int)items[0]!["failures"]!, items[0]!["nextTry"]));
        var open = items[1]!;
        Assert.Equal(("open", 5, "Unavailable"), ((string?)open["state"], (int)open["failures"]!, (string?)open["lastError"]));
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000), (DateTimeOffset)open["openedAt"]!);
        Assert.InRange((DateTimeOffset)open["nextTry"]! - DateTimeOffset.UtcNow, TimeSpan.Zero, TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Nobody_else_does()
    {
        using var http = new HttpClient { BaseAddress = chat.Address };

        using var response = await http.GetAsync(Route);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }
}
