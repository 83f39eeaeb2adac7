using Grpc.Core.Interceptors;
using Grpc.Net.ClientFactory;

namespace Grpc.Client;

/// <summary>Lets the registration change every call's options (credentials, deadlines).</summary>
internal sealed class CallOptionsInterceptor(GrpcClientFactoryOptions options, IServiceProvider services) : ContextInterceptor
{
    protected override ClientInterceptorContext<TRequest, TResponse> Change<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context)
    {
        var call = new CallOptionsContext(context.Options, services);
        foreach (var action in options.CallOptionsActions)
            action(call);
        return new ClientInterceptorContext<TRequest, TResponse>(context.Method, context.Host, call.CallOptions);
    }
}
