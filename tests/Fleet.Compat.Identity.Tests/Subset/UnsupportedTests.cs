using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Fleet.Compat.Identity.Tests.IdentityServer;
using Xunit;

namespace Fleet.Compat.Identity.Tests.Subset;

/// <summary>What the subset leaves out says so by name when it is asked for.</summary>
public sealed class UnsupportedTests
{
    public static TheoryData<string> Switches =>
    [
        nameof(EndpointsOptions.EnableAuthorizeEndpoint),
        nameof(EndpointsOptions.EnableEndSessionEndpoint),
        nameof(EndpointsOptions.EnableCheckSessionEndpoint),
        nameof(EndpointsOptions.EnableIntrospectionEndpoint),
        nameof(EndpointsOptions.EnableDeviceAuthorizationEndpoint),
        nameof(EndpointsOptions.EnableBackchannelAuthenticationEndpoint),
        nameof(EndpointsOptions.EnablePushedAuthorizationEndpoint),
    ];

    [Theory]
    [MemberData(nameof(Switches))]
    public async Task Endpoint_left_on_stops_the_start(string name)
    {
        var failure = await Assert.ThrowsAsync<NotSupportedException>(() => ProviderHost.StartAsync(
            options => typeof(EndpointsOptions).GetProperty(name)!.SetValue(options.Endpoints, true)));

        Assert.Contains(name, failure.Message);
    }

    [Fact]
    public async Task Automatic_key_management_stops_the_start()
    {
        var failure = await Assert.ThrowsAsync<NotSupportedException>(() => ProviderHost.StartAsync(options => options.KeyManagement.Enabled = true));

        Assert.Contains("KeyManagement", failure.Message);
    }

    [Theory]
    [InlineData("authorization_code")]
    [InlineData("password")]
    public async Task Client_with_another_grant_stops_the_start(string grantType)
    {
        var client = ProviderHost.Machine();
        client.AllowedGrantTypes = [grantType];

        var failure = await Assert.ThrowsAsync<NotSupportedException>(() => ProviderHost.StartAsync(configure: null, client));

        Assert.Contains(grantType, failure.Message);
    }

    [Fact]
    public async Task Stale_claims_on_refresh_stop_the_start()
    {
        var client = ProviderHost.App();
        client.UpdateAccessTokenClaimsOnRefresh = false;

        var failure = await Assert.ThrowsAsync<NotSupportedException>(() => ProviderHost.StartAsync(configure: null, client));

        Assert.Contains(nameof(Client.UpdateAccessTokenClaimsOnRefresh), failure.Message);
    }
}
