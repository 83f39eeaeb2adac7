using System.Net;
using System.Text.RegularExpressions;
using Fleet.Testing;
using Fleet.Web.Pages;

namespace Fleet.Web.Tests;

/// <summary>The host with the app as npm built it.</summary>
public sealed partial class PageTests : IAsyncLifetime
{
    private ServiceFactory<BuiltPageCheck> _web = null!;
    private HttpClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _web = await ServiceFactory<BuiltPageCheck>.StartAsync([]);
        _client = _web.CreateClient();
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/c/0198a1b2")]
    [InlineData("/admin")]
    public async Task Every_address_of_the_app_is_its_page(string path)
    {
        using var answer = await _client.GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("text/html", answer.Content.Headers.ContentType?.MediaType);
        Assert.True(answer.Headers.CacheControl?.NoCache, "a new release must be seen at once");
        Assert.Contains("id=\"root\"", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Assets_are_kept_for_good_and_sent_compressed()
    {
        var page = await _client.GetStringAsync("/");
        using var request = new HttpRequestMessage(HttpMethod.Get, Script().Match(page).Value);
        request.Headers.AcceptEncoding.ParseAdd("br");

        using var answer = await _client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("text/javascript", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("public, max-age=31536000, immutable", answer.Headers.CacheControl?.ToString());
        Assert.Contains("br", answer.Content.Headers.ContentEncoding);
    }

    [Fact]
    public async Task The_page_needs_no_inline_script_or_style()
    {
        var page = await _client.GetStringAsync("/");

        Assert.DoesNotContain("<style", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("style=", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch("<script(?![^>]*src=)", page);
        Assert.DoesNotContain("http://", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/assets/gone-abc.js")]
    [InlineData("/favicon.ico")]
    [InlineData("/../appsettings.json")]
    [InlineData("/%2e%2e/appsettings.json")]
    [InlineData("/appsettings.json")]
    public async Task A_file_that_is_not_there_is_404_and_not_the_page(string path)
    {
        using var answer = await _client.GetAsync(path);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task Nothing_can_be_posted()
    {
        using var answer = await _client.PostAsync("/c/0198", null);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
    }

    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/metrics")]
    public async Task Probes_and_metrics_answer(string path)
    {
        using var answer = await _client.GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _web.DisposeAsync();
    }

    [GeneratedRegex("/assets/[^\"]+\\.js")]
    private static partial Regex Script();
}
