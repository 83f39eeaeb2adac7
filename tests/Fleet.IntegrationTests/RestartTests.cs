using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Testing;
using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>kill -9 of any one service in the middle of a reply: it is back within 15 s and nothing stored is lost.</summary>
public sealed class RestartTests(FleetFixture fleet)
{
    [Theory]
    [InlineData("gateway")]
    [InlineData("auth")]
    [InlineData("chat")]
    [InlineData("inference")]
    [InlineData("knowledge")]
    [InlineData("analytics")]
    [InlineData("notification")]
    [InlineData("web")]
    public async Task A_killed_service_is_back_within_15_s_and_nothing_stored_is_lost(string service)
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var session = await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = FleetFixture.LongReply });
        await user.AskAsync(await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel }), "An earlier conversation.");

        var seen = new Reply();
        TimeSpan? recovered = null;
        try
        {
            await foreach (var (type, data) in user.StreamAsync(session, "Talk for a long time."))
            {
                seen.Add(type, data);
                if (seen.Tokens == 5 && recovered is null) recovered = await KillAsync(service);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // The connection went with the gateway or chat; the run did not.
        }

        Assert.NotNull(recovered);
        Assert.InRange(recovered.Value, TimeSpan.Zero, TimeSpan.FromSeconds(15));
        await Eventually.TrueAsync(async () =>
        {
            var messages = await TryMessagesAsync(user, session);
            return messages is [_, { } reply] && reply.GetProperty("status").GetString() is "complete" or "failed" or "stopped";
        }, $"the run did not end after {service} was killed", TimeSpan.FromSeconds(90));

        var stored = await user.MessagesAsync(session);
        Assert.Equal("Talk for a long time.", stored[0].GetProperty("content").GetString());
        Assert.StartsWith(seen.Text, stored[1].GetProperty("content").GetString()!, StringComparison.Ordinal);
        Assert.Equal("complete", stored[1].GetProperty("status").GetString());
        // A reply that inference or chat takes up again continues from its text, whose tokens may be cut differently.
        if (service is not "inference" and not "chat")
            Assert.Equal(FleetFixture.LongReply, stored[1].GetProperty("tokenCounts").GetProperty("completion").GetInt32());

        Assert.Equal(2, (await user.GetAsync("/api/sessions")).GetProperty("items").GetArrayLength());
        var after = await user.AskAsync(await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel }), "Are you there?");
        Assert.NotNull(after.Done);
        await Eventually.TrueAsync(async () => (await user.UsageAsync()).GetProperty("requests").GetInt64() >= 2, "usage was lost");
    }

    private async Task<TimeSpan> KillAsync(string service)
    {
        var before = await fleet.ProcessIdAsync(service);
        using (var process = Process.GetProcessById(before)) process.Kill();
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(async () => await fleet.ProcessIdAsync(service) is var now && now > 0 && now != before && await fleet.IsReadyAsync(service), $"{service} did not come back");
        return Stopwatch.GetElapsedTime(started);
    }

    private static async Task<List<JsonElement>?> TryMessagesAsync(FleetUser user, Guid session)
    {
        try
        {
            using var response = await user.Client.GetAsync($"/api/sessions/{session}/messages");
            if (response.StatusCode != HttpStatusCode.OK) return null;
            return [.. (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("items").EnumerateArray()];
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }
}
