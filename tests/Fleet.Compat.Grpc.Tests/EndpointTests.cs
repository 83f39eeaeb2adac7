using System.Security.Claims;
using System.Text.Encodings.Web;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fleet.Compat.Grpc.Tests;

public sealed class EndpointTests
{
    private static readonly Metadata SignedIn = new() { { "authorization", "alice" } };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Required_authorization_guards_every_method()
    {
        await using var server = await StartAsync(app => app.MapGrpcService<EchoService>().RequireAuthorization());

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token));
        var reply = await server.Client.SayAsync(new EchoRequest { Text = "in" }, SignedIn, cancellationToken: Token);

        Assert.Equal(StatusCode.Unauthenticated, exception.StatusCode);
        Assert.Equal("in", reply.Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Attributes_of_class_and_method_are_obeyed()
    {
        await using var server = await StartAsync(app => app.MapGrpcService<GuardedService>());

        Assert.Equal("anyone", (await server.Client.SayAsync(new EchoRequest(), cancellationToken: Token)).Text);
        using var refused = server.Client.Repeat(new EchoRequest(), cancellationToken: Token);
        Assert.Equal(StatusCode.Unauthenticated, (await Assert.ThrowsAsync<RpcException>(() => refused.ResponseStream.MoveNext(Token))).StatusCode);
        using var served = server.Client.Repeat(new EchoRequest(), SignedIn, cancellationToken: Token);
        Assert.True(await served.ResponseStream.MoveNext(Token));
        Assert.Equal("alice", served.ResponseStream.Current.Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Endpoints_say_which_method_they_serve()
    {
        await using var server = await EchoServer.StartAsync();

        var methods = server.Services.GetRequiredService<EndpointDataSource>().Endpoints
            .Select(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>())
            .OfType<GrpcMethodMetadata>()
            .ToList();

        Assert.Equal(["Chat", "Collect", "Missing", "Repeat", "Say"], methods.Select(one => one.Method.Name).Order());
        Assert.All(methods, one => Assert.Equal(typeof(EchoService), one.ServiceType));
    }

    [Fact]
    public void Service_cannot_be_mapped_without_AddGrpc()
    {
        var app = WebApplication.CreateSlimBuilder().Build();

        Assert.Throws<InvalidOperationException>(() => app.MapGrpcService<EchoService>());
    }

    private static Task<EchoServer> StartAsync(Action<WebApplication> map) => EchoServer.StartAsync(
        services: services =>
        {
            services.AddAuthentication("name").AddScheme<AuthenticationSchemeOptions, NameHandler>("name", null);
            services.AddAuthorization();
        },
        map: app =>
        {
            app.UseAuthentication();
            app.UseAuthorization();
            map(app);
        });

    /// <summary>Believes whatever name the authorization header gives.</summary>
    private sealed class NameHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            if (Request.Headers.Authorization is not [{ Length: > 0 } name, ..])
                return Task.FromResult(AuthenticateResult.NoResult());
            var user = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], Scheme.Name));
            return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(user, Scheme.Name)));
        }
    }

    [Authorize]
    private sealed class GuardedService : Echo.EchoBase
    {
        [AllowAnonymous]
        public override Task<EchoReply> Say(EchoRequest request, ServerCallContext context) => Task.FromResult(new EchoReply { Text = "anyone" });

        public override Task Repeat(EchoRequest request, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context) =>
            responseStream.WriteAsync(new EchoReply { Text = context.GetHttpContext().User.Identity!.Name });
    }
}
