using System.Net;
using Fleet.Compat.Identity.Tests.JwtBearer;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Xunit;

namespace Fleet.Compat.Identity.Tests.Subset;

/// <summary>When keys are fetched anew, by a clock that only the subset lets a test set.</summary>
public sealed class ConfigurationManagerTests
{
    private readonly SteppedClock _clock = new();

    [Fact]
    public async Task Unknown_key_makes_the_keys_be_fetched_anew_after_the_refresh_interval()
    {
        await using var host = await IssuerHost.StartAsync(UseClock);
        using var before = await host.GetAsync(host.Issue());
        var rotated = host.AddKey("second");

        using var tooSoon = await host.GetAsync(host.Issue(key: rotated));
        _clock.Now += TimeSpan.FromMinutes(6);
        using var after = await host.GetAsync(host.Issue(key: rotated));

        Assert.Equal(HttpStatusCode.Unauthorized, tooSoon.StatusCode);
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
        Assert.Equal(2, host.KeyRequests);
    }

    [Fact]
    public async Task Unknown_key_fetches_nothing_when_that_is_switched_off()
    {
        await using var host = await IssuerHost.StartAsync(options =>
        {
            UseClock(options);
            options.RefreshOnIssuerKeyNotFound = false;
        });
        using var before = await host.GetAsync(host.Issue());
        _clock.Now += TimeSpan.FromMinutes(6);

        using var after = await host.GetAsync(host.Issue(key: host.AddKey("second")));

        Assert.Equal(HttpStatusCode.Unauthorized, after.StatusCode);
        Assert.Equal(1, host.KeyRequests);
    }

    [Fact]
    public async Task Issuer_down_when_the_keys_are_due_changes_nothing()
    {
        await using var host = await IssuerHost.StartAsync(UseClock);
        using var before = await host.GetAsync(host.Issue());
        host.IsDown = true;
        _clock.Now += TimeSpan.FromHours(13);

        using var after = await host.GetAsync(host.Issue());

        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }

    [Fact]
    public async Task Stale_configuration_is_fetched_again_and_kept_when_that_fails()
    {
        var documents = new Documents();
        var manager = Manager("http://issuer/", documents);
        var cancellationToken = TestContext.Current.CancellationToken;
        var first = await manager.GetConfigurationAsync(cancellationToken);

        _clock.Now += TimeSpan.FromHours(13);
        documents.Fail = true;
        Assert.Same(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Same(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Equal(2, documents.Fetches);

        _clock.Now += TimeSpan.FromMinutes(6);
        documents.Fail = false;
        Assert.NotSame(first, await manager.GetConfigurationAsync(cancellationToken));
        Assert.Equal(3, documents.Fetches);
    }

    private void UseClock(JwtBearerOptions options) =>
        options.ConfigurationManager = Manager(options.MetadataAddress, new HttpDocumentRetriever { RequireHttps = false });

    private ConfigurationManager<OpenIdConnectConfiguration> Manager(string address, IDocumentRetriever documents) =>
        new(address, new OpenIdConnectConfigurationRetriever(), documents) { Clock = _clock };

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
