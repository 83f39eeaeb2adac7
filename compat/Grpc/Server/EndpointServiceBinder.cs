using System.Reflection;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Grpc.Server;

/// <summary>A method ready to be mapped: its name, the code that implements it (for attributes) and its handler.</summary>
internal sealed record BoundMethod(IMethod Method, MethodInfo Implementation, RequestDelegate Handle);

/// <summary>
/// Receives a service's methods from generated code, without an instance, and ties each to the public method
/// of the same name: the instance comes from the container, once per call.
/// </summary>
internal sealed class EndpointServiceBinder<TService>(ServerOptions options) : ServiceBinderBase
    where TService : class
{
    public List<BoundMethod> Methods { get; } = [];

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        var (info, invoke) = Bind<Func<TService, TRequest, ServerCallContext, Task<TResponse>>>(
            method, typeof(TRequest), typeof(ServerCallContext));
        var call = new UnaryHandler<TService, TRequest, TResponse>(method, options, invoke);
        Methods.Add(new BoundMethod(method, info, call.HandleAsync));
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var (info, invoke) = Bind<Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>>>(
            method, typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext));
        var call = new ClientStreamingHandler<TService, TRequest, TResponse>(method, options, invoke);
        Methods.Add(new BoundMethod(method, info, call.HandleAsync));
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var (info, invoke) = Bind<Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method, typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        var call = new ServerStreamingHandler<TService, TRequest, TResponse>(method, options, invoke);
        Methods.Add(new BoundMethod(method, info, call.HandleAsync));
    }

    public override void AddMethod<TRequest, TResponse>(
        Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var (info, invoke) = Bind<Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method, typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        var call = new DuplexStreamingHandler<TService, TRequest, TResponse>(method, options, invoke);
        Methods.Add(new BoundMethod(method, info, call.HandleAsync));
    }

    private static (MethodInfo Info, TDelegate Invoke) Bind<TDelegate>(IMethod method, params Type[] parameters)
        where TDelegate : Delegate
    {
        var info = typeof(TService).GetMethod(method.Name, BindingFlags.Public | BindingFlags.Instance, parameters)
            ?? throw new InvalidOperationException($"{typeof(TService)} has no public method '{method.Name}' for '{method.FullName}'.");
        return (info, info.CreateDelegate<TDelegate>());
    }
}
