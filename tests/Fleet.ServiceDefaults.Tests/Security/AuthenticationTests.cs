using System.Net;
using Fleet.ServiceDefaults.Security;
using Fleet.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Security;

public sealed class AuthenticationTests : IAsyncLifetime
{
    private readonly Guid _user = Guid.CreateVersion7();
    private TestTokens _tokens = null!;
    private TestService _service = null!;

    public async ValueTask InitializeAsync()
    {
        _tokens = await TestTokens.StartAsync();
        _service = await TestService.StartAsync(
            builder => builder.AddFleetAuthentication(),
            app =>
            {
                app.MapGet("/me", (HttpContext context) => context.User.UserId()).RequireAuthorization(FleetPolicies.User);
                app.MapGet("/administration", () => "ok").RequireAuthorization(FleetPolicies.Administrator);
                app.MapGet("/internal", () => "ok").RequireAuthorization(FleetPolicies.Internal);
                app.MapGet("/undecided", () => "ok");
            },
            _tokens.Configuration);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        await _tokens.DisposeAsync();
    }

    [Fact]
    public async Task A_valid_token_is_accepted() => Assert.Equal(HttpStatusCode.OK, await GetAsync("/me", _tokens.Issue(_user)));

    [Fact]
    public async Task No_token_is_401_even_where_nobody_thought_of_it() => Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync("/undecided", null));

    [Fact]
    public async Task Expired_foreign_misaddressed_and_broken_tokens_are_401()
    {
        var unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + _tokens.Issue(_user).Split('.')[1] + ".";

        foreach (var token in new[] { _tokens.Expired(_user), _tokens.Foreign(_user), _tokens.WrongAudience(_user), unsigned, "nonsense", new string('x', 20_000) })
            Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync("/me", token));
    }

    [Fact]
    public async Task Roles_and_kinds_of_caller_are_kept_apart()
    {
        Assert.Equal(HttpStatusCode.Forbidden, await GetAsync("/administration", _tokens.Issue(_user)));
        Assert.Equal(HttpStatusCode.OK, await GetAsync("/administration", _tokens.Issue(_user, "member", "administrator")));
        Assert.Equal(HttpStatusCode.Forbidden, await GetAsync("/internal", _tokens.Issue(_user, "administrator")));
        Assert.Equal(HttpStatusCode.OK, await GetAsync("/internal", _tokens.IssueService("knowledge")));
        Assert.Equal(HttpStatusCode.Forbidden, await GetAsync("/me", _tokens.IssueService("knowledge")));
    }

    [Fact]
    public async Task A_service_token_is_fetched_once_and_reused()
    {
        using var scope = _service.Services.CreateScope();
        var source = scope.ServiceProvider.GetRequiredService<ServiceTokenSource>();

        var tokens = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => source.GetTokenAsync(TestContext.Current.CancellationToken)));

        Assert.Single(tokens.Distinct());
        Assert.Equal(HttpStatusCode.OK, await GetAsync("/internal", tokens[0]));
    }

    private async Task<HttpStatusCode> GetAsync(string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
        using var response = await _service.Client.SendAsync(request);
        return response.StatusCode;
    }
}
