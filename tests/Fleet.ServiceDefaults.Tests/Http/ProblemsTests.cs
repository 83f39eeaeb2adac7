using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Http;

public sealed class ProblemsTests : IAsyncLifetime
{
    private TestService _service = null!;

    public async ValueTask InitializeAsync() => _service = await TestService.StartAsync(map: app =>
    {
        app.MapPost("/echo", (Payload payload) => payload);
        app.MapGet("/boom", IResult () => throw new InvalidOperationException("secret detail"));
    });

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Theory]
    [InlineData("{", "malformed-request")]
    [InlineData("""{"count":"many"}""", "malformed-request")]
    [InlineData("null", "malformed-request")]
    public async Task Malformed_json_is_a_400_problem(string body, string type)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");

        using var response = await _service.Client.PostAsync("/echo", content);

        await AssertProblemAsync(response, HttpStatusCode.BadRequest, type);
    }

    [Fact]
    public async Task A_body_of_another_type_is_415()
    {
        using var content = new StringContent("count=1", Encoding.UTF8, "text/plain");

        using var response = await _service.Client.PostAsync("/echo", content);

        await AssertProblemAsync(response, HttpStatusCode.UnsupportedMediaType, "unsupported-media-type");
    }

    [Fact]
    public async Task An_unknown_route_is_a_404_problem()
    {
        using var response = await _service.Client.GetAsync("/nowhere");

        await AssertProblemAsync(response, HttpStatusCode.NotFound, "not-found");
    }

    [Fact]
    public async Task An_unexpected_exception_is_a_500_problem_that_tells_nothing()
    {
        using var response = await _service.Client.GetAsync("/boom");

        await AssertProblemAsync(response, HttpStatusCode.InternalServerError, "internal-server-error");
        Assert.DoesNotContain("secret detail", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static async Task AssertProblemAsync(HttpResponseMessage response, HttpStatusCode status, string type)
    {
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("urn:fleet:problem:" + type, problem.GetProperty("type").GetString());
        Assert.Equal((int)status, problem.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.NotEmpty(problem.GetProperty("traceId").GetString()!);
    }

    internal sealed record Payload(int Count);
}
