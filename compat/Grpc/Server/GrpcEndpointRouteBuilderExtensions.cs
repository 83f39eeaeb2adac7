using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Builder;

public static class GrpcEndpointRouteBuilderExtensions
{
    /// <summary>Maps every method of a service that generated code can bind.</summary>
    public static GrpcServiceEndpointConventionBuilder MapGrpcService<TService>(this IEndpointRouteBuilder builder)
        where TService : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        var marker = builder.ServiceProvider.GetService<GrpcServerMarker>()
            ?? throw new InvalidOperationException("gRPC services are missing: call services.AddGrpc() first.");

        var binder = new EndpointServiceBinder<TService>(ServerOptions.Resolve<TService>(builder.ServiceProvider));
        FindBindMethod(typeof(TService)).Invoke(null, [binder, null]);

        var endpoints = binder.Methods.ConvertAll(method => MapMethod(builder, typeof(TService), method));
        if (builder.ServiceProvider.GetRequiredService<IOptions<GrpcServiceOptions>>().Value.IgnoreUnknownServices == true)
            return new GrpcServiceEndpointConventionBuilder(endpoints);

        foreach (var service in binder.Methods.Select(method => method.Method.ServiceName).Distinct())
            endpoints.Add(MapUnimplemented(builder, $"{service}/{{unimplementedMethod:{GrpcRequestConstraint.Name}}}", "Method is unimplemented."));
        if (marker.ClaimFallback())
            MapUnimplemented(builder, $"{{unimplementedService}}/{{unimplementedMethod:{GrpcRequestConstraint.Name}}}", "Service is unimplemented.");
        return new GrpcServiceEndpointConventionBuilder(endpoints);
    }

    private static IEndpointConventionBuilder MapMethod(IEndpointRouteBuilder builder, Type serviceType, BoundMethod bound) =>
        builder
            .Map(RoutePatternFactory.Parse(bound.Method.FullName), bound.Handle)
            .ExcludeFromDescription()
            .WithDisplayName($"gRPC - {bound.Method.FullName}")
            .WithMetadata([
                new HttpMethodMetadata(["POST"], acceptCorsPreflight: true),
                new GrpcMethodMetadata(serviceType, bound.Method),
                .. serviceType.GetCustomAttributes(inherit: true),
                .. bound.Implementation.GetCustomAttributes(inherit: true),
            ]);

    private static IEndpointConventionBuilder MapUnimplemented(IEndpointRouteBuilder builder, string pattern, string detail) =>
        builder
            .Map(RoutePatternFactory.Parse(pattern), context => UnimplementedMethod.AnswerAsync(context, detail))
            .ExcludeFromDescription()
            .WithDisplayName($"gRPC - unimplemented {pattern}")
            .WithMetadata(new HttpMethodMetadata(["POST"]));

    private static MethodInfo FindBindMethod(Type serviceType)
    {
        for (var type = serviceType; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } attribute)
            {
                return attribute.BindType.GetMethod(
                        attribute.BindMethodName, BindingFlags.Public | BindingFlags.Static | BindingFlags.NonPublic, [typeof(ServiceBinderBase), type])
                    ?? throw new InvalidOperationException($"{attribute.BindType} has no {attribute.BindMethodName}(ServiceBinderBase, {type}).");
            }
        }

        throw new InvalidOperationException($"{serviceType} does not derive from a generated service base.");
    }
}

/// <summary>Applies conventions (authorization, rate limits, metadata) to every method of a mapped service.</summary>
public sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
{
    private readonly IReadOnlyList<IEndpointConventionBuilder> _endpoints;

    internal GrpcServiceEndpointConventionBuilder(IReadOnlyList<IEndpointConventionBuilder> endpoints) => _endpoints = endpoints;

    public void Add(Action<EndpointBuilder> convention)
    {
        foreach (var endpoint in _endpoints)
            endpoint.Add(convention);
    }

    public void Finally(Action<EndpointBuilder> finallyConvention)
    {
        foreach (var endpoint in _endpoints)
            endpoint.Finally(finallyConvention);
    }
}
