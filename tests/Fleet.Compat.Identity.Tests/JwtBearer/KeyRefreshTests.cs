using System.Net;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
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
    public async Task Unknown_key_makes_the_keys_be_fetched_anew()
    {
        await using var host = await IssuerHost.StartAsync(options => options.RefreshInterval = TimeSpan.FromSeconds(1));
        using var before = await host.GetAsync(host.Issue());
        var rotated = host.AddKey("second");

        await Task.Delay(TimeSpan.FromSeconds(1.1), TestContext.Current.CancellationToken);
        using var after = await host.GetAsync(host.Issue(key: rotated));

        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
        Assert.Equal(2, host.KeyRequests);
    }

    [Fact]
    public async Task A_flood_of_unknown_keys_is_not_a_flood_of_fetches()
    {
        await using var host = await IssuerHost.StartAsync();
        using var first = await host.GetAsync(host.Issue());
        var unknown = host.AddKey("second");

        for (var i = 0; i < 10; i++)
            (await host.GetAsync(host.Issue(key: unknown))).Dispose();

        Assert.Equal(1, host.KeyRequests);
    }

    [Fact]
    public async Task Issuer_down_after_the_first_fetch_changes_nothing()
    {
        await using var host = await IssuerHost.StartAsync(options => options.AutomaticRefreshInterval = TimeSpan.FromMinutes(5));
        using var before = await host.GetAsync(host.Issue());
        host.IsDown = true;

        using var after = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
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

    [Fact]
    public async Task Stale_configuration_is_fetched_again_and_kept_when_that_fails()
    {
        var clock = new SteppedClock();
        var documents = new Documents();
        var manager = new ConfigurationManager<OpenIdConnectConfiguration>("http://issuer/", new OpenIdConnectConfigurationRetriever(), documents)
        {
            AutomaticRefreshInterval = TimeSpan.FromHours(12),
            RefreshInterval = TimeSpan.FromMinutes(5),
            Clock = clock,
        };
        var cancellationToken = TestContext.Current.CancellationToken;
        var first = await manager.GetConfigurationAsync(cancellationToken);

        clock.Now += TimeSpan.FromHours(13);
        documents.Fail = true;
        Assert.Same(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Same(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Equal(2, documents.Fetches);

        clock.Now += TimeSpan.FromMinutes(6);
        documents.Fail = false;
        Assert.NotSame(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Equal(3, documents.Fetches);
    }

    private sealed class SteppedClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }

    private sealed class Documents : IDocumentRetriever
    {
        public bool Fail { get; set; }

        public int Fetches { get; private set; }

        public Task<string> GetDocumentAsync(string address, CancellationToken cancel)
        {
            Fetches++;
            return Fail ? throw new IOException("down") : Task.FromResult("""{"issuer":"http://issuer"}""");
        }
    }
}
