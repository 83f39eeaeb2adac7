using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.Client;

/// <summary>Owns one channel, with its channel interceptors, per registration for the life of the process.</summary>
internal sealed class NamedChannels(
    IServiceProvider rootServices,
    IHttpMessageHandlerFactory handlers,
    IOptionsMonitor<GrpcClientFactoryOptions> options,
    ILoggerFactory loggers) : IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<(GrpcChannel Channel, CallInvoker Invoker)>> _channels = new();

    public CallInvoker Get(string name) =>
        _channels.GetOrAdd(name, key => new Lazy<(GrpcChannel, CallInvoker)>(() => Create(key))).Value.Invoker;

    public void Dispose()
    {
        foreach (var channel in _channels.Values.Where(channel => channel.IsValueCreated))
            channel.Value.Channel.Dispose();
    }

    private (GrpcChannel, CallInvoker) Create(string name)
    {
        var own = options.Get(name);
        var channelOptions = new GrpcChannelOptions
        {
            HttpHandler = handlers.CreateHandler(name),
            LoggerFactory = loggers,
            ServiceProvider = rootServices,
        };
        foreach (var configure in own.ChannelOptionsActions)
            configure(channelOptions);
        var channel = GrpcChannel.ForAddress(
            own.Address ?? throw new InvalidOperationException($"The gRPC client '{name}' has no address."), channelOptions);
        return (channel, Intercept(channel.CreateCallInvoker(), own, InterceptorScope.Channel, rootServices));
    }

    public static CallInvoker Intercept(
        CallInvoker invoker, GrpcClientFactoryOptions options, InterceptorScope scope, IServiceProvider services) =>
        invoker.Intercept([.. options.InterceptorRegistrations.Where(one => one.Scope == scope).Select(one => one.Creator(services))]);
}

/// <summary>Makes clients over the shared channels; lives in the scope that asks for the client.</summary>
internal sealed class NamedClientFactory(
    IServiceProvider services, NamedChannels channels, IOptionsMonitor<GrpcClientFactoryOptions> options) : GrpcClientFactory
{
    public override TClient CreateClient<TClient>(string name)
    {
        var own = options.Get(name);
        var invoker = channels.Get(name);
        if (own.CallOptionsActions.Count > 0)
            invoker = invoker.Intercept(new CallOptionsInterceptor(own, services));
        invoker = NamedChannels.Intercept(invoker, own, InterceptorScope.Client, services);
        return own.Creator is { } create
            ? (TClient)create(invoker)
            : ActivatorUtilities.CreateInstance<TClient>(services, invoker);
    }
}
