using System.Net;
using Xunit;

namespace Fleet.Compat.Identity.Tests.JwtBearer;

public sealed class KeyRefreshTests
{
    [Fact]
    public async Task Keys_are_fetched_once_for_many_requests()
    {
        await using var host = await IssuerHost.StartAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => host.GetAsync(host.Issue())));

        Assert.All(responses, response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        Assert.Equal(1, host.KeyRequests);
    }

    [Fact]
    public async Task A_flood_of_unknown_keys_is_not_a_flood_of_fetches()
    {
        await using var host = await IssuerHost.StartAsync();
        using var first = await host.GetAsync(host.Issue());
        var unknown = host.AddKey("second");

        for (var i = 0; i < 10; i++)
            (await host.GetAsync(host.Issue(key: unknown))).Dispose();

        // The original allows the first request for a refresh at once.
        Assert.InRange(host.KeyRequests, 1, 2);
    }

    [Fact]
    public async Task Issuer_down_at_first_is_refused_and_then_recovers()
    {
        await using var host = await IssuerHost.StartAsync();
        host.IsDown = true;
        using var down = await host.GetAsync(host.Issue());

        host.IsDown = false;
        using var up = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.Unauthorized, down.StatusCode);
        Assert.Equal(HttpStatusCode.OK, up.StatusCode);
    }
}
