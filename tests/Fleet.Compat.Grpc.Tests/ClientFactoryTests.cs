using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Compat.Grpc.Tests;

public sealed class ClientFactoryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Registered_client_reaches_its_address()
    {
        await using var server = await EchoServer.StartAsync();
        await using var services = Build(builder => builder.AddGrpcClient<Echo.EchoClient>(options => options.Address = server.Address));

        var reply = await services.GetRequiredService<Echo.EchoClient>().SayAsync(new EchoRequest { Text = "hi" }, cancellationToken: Token);

        Assert.Equal("hi", reply.Text);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Handlers_channel_options_credentials_and_interceptors_take_part()
    {
        await using var server = await EchoServer.StartAsync();
        var (handlers, intercepted) = (0, 0);
        await using var services = Build(builder => builder
            .AddGrpcClient<Echo.EchoClient>((_, options) => options.Address = server.Address)
            .ConfigurePrimaryHttpMessageHandler(() =>
            {
                handlers++;
                return new SocketsHttpHandler();
            })
            .ConfigureChannel(channel => channel.UnsafeUseInsecureChannelCallCredentials = true)
            .AddInterceptor(() => new Counter(() => intercepted++))
            .AddCallCredentials((_, metadata) =>
            {
                metadata.Add("x-text", "from credentials");
                metadata.Add("x-bytes-bin", [1]);
                return Task.CompletedTask;
            }));

        for (var i = 0; i < 3; i++)
        {
            using var call = services.GetRequiredService<Echo.EchoClient>().SayAsync(new EchoRequest { ReflectMetadata = true }, cancellationToken: Token);
            await call;
            Assert.Equal("from credentials", call.GetTrailers().GetValue("x-trailing-text"));
        }

        Assert.Equal(1, handlers);
        Assert.Equal(3, intercepted);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Call_credentials_are_left_out_over_cleartext_unless_allowed()
    {
        await using var server = await EchoServer.StartAsync();
        var asked = false;
        await using var services = Build(builder => builder
            .AddGrpcClient<Echo.EchoClient>(options => options.Address = server.Address)
            .AddCallCredentials((_, _) =>
            {
                asked = true;
                return Task.CompletedTask;
            }));

        await services.GetRequiredService<Echo.EchoClient>().SayAsync(new EchoRequest(), cancellationToken: Token);

        Assert.False(asked);
    }

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Client_interceptor_lives_in_the_scope_of_its_client()
    {
        await using var server = await EchoServer.StartAsync();
        await using var services = Build(builder =>
        {
            builder.AddScoped<ScopedInterceptor>();
            builder.AddGrpcClient<Echo.EchoClient>("named", options => options.Address = server.Address)
                .AddInterceptor<ScopedInterceptor>(InterceptorScope.Client);
        });

        await using var scope = services.CreateAsyncScope();
        var client = scope.ServiceProvider.GetRequiredService<GrpcClientFactory>().CreateClient<Echo.EchoClient>("named");
        await client.SayAsync(new EchoRequest(), cancellationToken: Token);

        Assert.Equal(1, scope.ServiceProvider.GetRequiredService<ScopedInterceptor>().Calls);
    }

    [Fact]
    public void Client_without_an_address_says_so()
    {
        using var services = Build(builder => builder.AddGrpcClient<Echo.EchoClient>());

        Assert.Contains("EchoClient", Assert.Throws<InvalidOperationException>(services.GetRequiredService<Echo.EchoClient>).Message, StringComparison.Ordinal);
    }

    private static ServiceProvider Build(Action<IServiceCollection> configure)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        configure(services);
        return services.BuildServiceProvider(validateScopes: true);
    }

    private sealed class Counter(Action count) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            count();
            return continuation(request, context);
        }
    }

    private sealed class ScopedInterceptor : Interceptor
    {
        public int Calls { get; private set; }

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            Calls++;
            return continuation(request, context);
        }
    }
}
