using System.Net;
using Fleet.ServiceDefaults.Http;
using Microsoft.Extensions.DependencyInjection;
using Polly.CircuitBreaker;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Http;

public sealed class HttpResilienceTests
{
    [Fact]
    public async Task A_safe_request_is_tried_again_after_503()
    {
        var upstream = new Upstream(HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK);
        using var client = CreateClient(upstream);

        using var response = await client.GetAsync("http://upstream/", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, upstream.Calls);
    }

    [Fact]
    public async Task A_write_is_never_repeated()
    {
        var upstream = new Upstream(HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK);
        using var client = CreateClient(upstream);

        using var response = await client.PostAsync("http://upstream/", null, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(1, upstream.Calls);
    }

    [Fact]
    public async Task The_circuit_opens_after_ten_failures()
    {
        var upstream = new Upstream([.. Enumerable.Repeat(HttpStatusCode.BadGateway, 20)]);
        using var client = CreateClient(upstream);
        for (var i = 0; i < 10; i++) (await client.PostAsync("http://upstream/", null, TestContext.Current.CancellationToken)).Dispose();

        await Assert.ThrowsAsync<BrokenCircuitException>(() => client.PostAsync("http://upstream/", null, TestContext.Current.CancellationToken));

        Assert.Equal(10, upstream.Calls);
    }

    private static HttpClient CreateClient(Upstream upstream)
    {
        var services = new ServiceCollection();
        services.AddHttpClient("test").AddFleetResilience().ConfigurePrimaryHttpMessageHandler(() => upstream);
        return services.BuildServiceProvider().GetRequiredService<IHttpClientFactory>().CreateClient("test");
    }

    private sealed class Upstream(params HttpStatusCode[] answers) : HttpMessageHandler
    {
        public int Calls { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(answers[Calls++]));
    }
}
