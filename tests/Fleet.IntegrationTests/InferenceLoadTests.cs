using System.Diagnostics;
using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>The engine under several conversations at once: its death costs a pause, and nobody's reply.</summary>
public sealed class InferenceLoadTests(FleetFixture fleet)
{
    private const int Conversations = 6;

    [Fact]
    public async Task Kill_9_of_inference_under_load_ends_no_reply()
    {
        var replies = await Task.WhenAll(Enumerable.Range(0, Conversations).Select(async index =>
        {
            var user = await FleetUser.RegisterAsync(fleet);
            return (User: user, Session: await user.CreateSessionAsync(new { model = FleetFixture.NativeModel, maxTokens = FleetFixture.LongReply }));
        }));
        var speaking = new CountdownEvent(Conversations);
        var streams = replies.Select(reply => Task.Run(async () =>
        {
            var seen = new Reply();
            await foreach (var (type, data) in reply.User.StreamAsync(reply.Session, "Talk for a long time."))
            {
                seen.Add(type, data);
                if (seen.Tokens == 3) speaking.Signal();
            }

            return seen;
        })).ToList();

        Assert.True(speaking.Wait(TimeSpan.FromSeconds(30)), "not every reply began");
        using (var process = Process.GetProcessById(await fleet.ProcessIdAsync("inference"))) process.Kill();
        var whole = await Task.WhenAll(streams).WaitAsync(TimeSpan.FromMinutes(2));

        foreach (var (reply, seen) in replies.Zip(whole))
        {
            var stored = await reply.User.MessagesAsync(reply.Session);
            Assert.Equal("complete", stored[1].GetProperty("status").GetString());
            Assert.Equal(seen.Text, stored[1].GetProperty("content").GetString());
            reply.User.Dispose();
        }
    }
}
